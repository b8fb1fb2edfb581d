"""The app of `colorgan compare --app`: drop a photo, see models side by side, move their options, save a result.

Streamlit runs this file anew at each press. What a visitor gives lives in the session's memory alone and goes with it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import streamlit as st

from colorgan.comparison.app.server import MOST_MB, AppOptions
from colorgan.images.formats import PHOTO_SUFFIXES

if TYPE_CHECKING:
    from colorgan.comparison.app.session import ModelOutput, UploadedPhoto
    from colorgan.comparison.models import ComparedModel

_FRAME_PX = 640  # until the frame sets its own height


@st.cache_resource(show_spinner="Loading the models ...")
def _models(options: AppOptions) -> list[ComparedModel]:
    from colorgan.callbacks import Callbacks, StopCheck
    from colorgan.comparison.models import load_models
    from colorgan.comparison.options import CompareOptions

    wanted = CompareOptions(models=options.models, device=options.device)
    return load_models(wanted, Callbacks(), StopCheck(Callbacks(), ""))


def main() -> None:
    """Draw the page."""
    from colorgan.comparison.app.session import MOST_MEGAPIXELS

    st.set_page_config("colorgan", layout="wide")
    st.title("Color a photo")
    options = AppOptions.from_environment()
    models = _models(options)
    st.text("The colors are plausible, not true: what they were, no model can know.")
    label = f"A photo, in gray or in color, of at most {MOST_MB} MB and {MOST_MEGAPIXELS:g} megapixels"
    file = st.file_uploader(label, type=list(PHOTO_SUFFIXES))
    saturation = st.sidebar.slider("Saturation", 0.0, 2.0, 1.0, 0.05, help="Multiplies the colors; 1 is as predicted.")
    render_size = _render_size(models)
    if file is None:
        st.session_state.pop("uploaded", None)
        st.text("The photo stays on this machine: it is not stored, and nothing is sent anywhere.")
        return
    uploaded = _uploaded(file.file_id, file.name, file.getvalue(), options.size)
    if uploaded is not None:
        _show(uploaded, models, saturation, render_size)


def _render_size(models: list[ComparedModel]) -> int | None:
    own = ", ".join(f"{model.name} {model.colorizer.info.render_size}" for model in models)
    if not st.sidebar.toggle("Choose the render size", help="The short side at which networks see the photo."):
        st.sidebar.text(f"Render size, pixels: {own}")
        return None
    return st.sidebar.slider("Render size, pixels", 32, 512, 256, 32)


def _uploaded(file_id: str, name: str, data: bytes, size_px: int) -> UploadedPhoto | None:
    """The photo, read once; None where it cannot be, which the page then says."""
    from colorgan.comparison.app.session import open_photo
    from colorgan.errors import PhotoError

    kept = st.session_state.get("uploaded")
    if kept is None or kept[0] != file_id:
        try:
            kept = (file_id, open_photo(name, data, size_px), {})
        except PhotoError as error:
            st.session_state.pop("uploaded", None)
            st.error("This photo cannot be colored.")
            st.text(f"{error.found}. {error.advice}")  # as text: a reason may hold words of the file
            return None
        st.session_state["uploaded"] = kept
    return kept[1]


def _output(uploaded: UploadedPhoto, model: ComparedModel, render_size: int | None) -> ModelOutput:
    """What a model says, asked once for each render size."""
    from colorgan.colorize.options import ColorizeOptions
    from colorgan.comparison.app.session import predict

    outputs: dict[tuple[str, int | None], ModelOutput] = st.session_state["uploaded"][2]
    key = (model.name, render_size)
    if key not in outputs:
        with st.spinner(f"{model.name} ..."):
            outputs[key] = predict(uploaded, model, ColorizeOptions(render_size=render_size))
    return outputs[key]


def _show(uploaded: UploadedPhoto, models: list[ComparedModel], saturation: float, render_size: int | None) -> None:
    from colorgan.comparison.app.session import metrics, opening_model, pictures, result, result_name
    from colorgan.comparison.results import GRAY
    from colorgan.errors import ColorganError
    from colorgan.html import embedded, render

    try:
        outputs = {model.name: _output(uploaded, model, render_size) for model in models}
        shown = {name: embedded(jpeg) for name, jpeg in pictures(uploaded, outputs, saturation).items()}
    except ColorganError as error:
        st.error("This photo cannot be colored.")
        st.text(str(error))
        return
    chosen = {"left": GRAY, "right": opening_model([model.name for model in models])}
    frame = render("colorgan.comparison.app", "frame", "slider", photo=uploaded.name, pictures=shown, **chosen)
    st.iframe(frame, height=_FRAME_PX)
    for word in uploaded.photo.warnings:
        st.text(word)
    with st.container(horizontal=True):
        for model in models:
            st.download_button(
                f"Save {model.name}",
                partial(result, uploaded, model, outputs[model.name], saturation),
                result_name(uploaded, model.name),
                "application/octet-stream",
                on_click="ignore",
            )
    _show_metrics(metrics(uploaded, outputs, saturation))


def _show_metrics(rows: dict[str, dict[str, float]]) -> None:
    from colorgan.comparison.formatting import number
    from colorgan.metrics import METRICS

    if not rows:
        st.text("The photo has no colors of its own to compare with: there are no metrics.")
        return
    better = {"higher": "higher", "lower": "lower", "neither": "-"}
    table = {"metric": [metric.title for metric in METRICS.values()]}
    table["better"] = [better[metric.better] for metric in METRICS.values()]
    for name, values in rows.items():
        table[name] = [number(values.get(metric.name, float("nan")), metric) for metric in METRICS.values()]
    st.dataframe(table, hide_index=True, width="content", height="content")


if __name__ == "__main__":
    main()
