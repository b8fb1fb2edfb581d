"""A Streamlit component for placing color hints in a photo; its HTML, CSS and JavaScript are beside this file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import resources
from typing import Any, TypedDict

import streamlit as st

from colorgan.images.hints import Hint

KEY = "hints"


class Placed(TypedDict):
    """A hint that was placed by a click.

    Attributes:
        across: position as a share of the photo's width, 0..1.
        down: position as a share of its height, 0..1.
        color: the chosen color.
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
        picture: the photo as a data URI.
        size: width and height of the photo, in whose pixels hints are counted.
        hints: those placed so far.
        placed: called with each new hint.
        undone: called when the last hint is to be removed.
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
