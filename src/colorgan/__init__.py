"""colorgan turns black-and-white photographs into colour ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = ["Colorizer", "__version__"]

if TYPE_CHECKING:
    from colorgan.colorize.colorizer import Colorizer


def __getattr__(name: str) -> object:
    # The class pulls in torch, which takes seconds; `colorgan --help` must not pay for it.
    if name == "Colorizer":
        from colorgan.colorize.colorizer import Colorizer

        return Colorizer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
