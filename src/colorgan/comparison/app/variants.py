"""Show several colorings of a photo side by side, for the user to choose one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

_IN_A_ROW = 2


def variant_picker(
    pictures: Sequence[str],
    chosen: int | None,
    seed: int,
    *,
    choose: Callable[[int], None],
    others: Callable[[], None],
) -> None:
    """Show variants, each with a button.

    Args:
        pictures: the variants as data URIs; the first is the plain prediction.
        chosen: index of the chosen one; None if it is none of these.
        seed: of these variants.
        choose: called with the index of the one that was chosen.
        others: called when others are wanted.
    """
    st.text("All are plausible. Hints, comparisons and saved pictures use the one that you choose.")
    for start in range(0, len(pictures), _IN_A_ROW):
        for number, column in enumerate(st.columns(_IN_A_ROW), start):
            with column:
                _show(pictures[number], number, number == chosen, choose)
    st.button("Show others", on_click=others)
    st.caption(f"In a terminal: `colorgan colorize PHOTO --variants {len(pictures)} --seed {seed}`")


def _show(picture: str, number: int, is_chosen: bool, choose: Callable[[int], None]) -> None:
    name = f"Variant {number + 1}" if number else "As predicted"
    # Not `st.image`, which has no alt text.
    st.html(f'<img src="{picture}" alt="{name}" style="width: 100%">')
    label = f"In use: {name}" if is_chosen else f"Use: {name}"
    st.button(label, key=f"variant-{number}", disabled=is_chosen, on_click=choose, args=(number,))
