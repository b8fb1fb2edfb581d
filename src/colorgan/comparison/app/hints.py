"""Where somebody clicks a color into a photo: a component of Streamlit, whose parts lie beside this file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import resources
from typing import Any, TypedDict

import streamlit as st

from colorgan.images.hints import Hint

KEY = "hints"


class Placed(TypedDict):
    """A click.

    Attributes:
        across: where, as a share of the photo's width, 0..1.
        down: likewise, of its height.
        color: that was chosen.
    """

    across: float
    down: float
    color: str


@st.cache_resource(show_spinner=False)
def _component() -> Callable[..., Any]:
    folder = resources.files("colorgan.comparison.app")
    html, css, js = (folder.joinpath(f"hints.{kind}").read_text(encoding="utf-8") for kind in ("html", "css", "js"))
    return st.components.v2.component("colorgan_hints", html=html, css=css, js=js)


def hint_picker(
    picture: str,
    size: tuple[int, int],
    hints: Sequence[Hint],
    *,
    placed: Callable[[Placed], None],
    undone: Callable[[], None],
) -> None:
    """Show a photo in which colors can be placed.

    Args:
        picture: an address that holds it.
        size: width and height of the photo, in whose pixels hints are counted.
        hints: that there are.
        placed: told of a click.
        undone: told that the last one is to go.
    """
    marks = [
        {"across": (hint.x + 0.5) / size[0], "down": (hint.y + 0.5) / size[1], "color": hint.color} for hint in hints
    ]
    _component()(
        key=KEY,
        data={"picture": picture, "marks": marks},
        on_placed_change=lambda: placed(st.session_state[KEY]["placed"]),
        on_undone_change=undone,
    )
