"""The app of `colorgan compare --app`: upload a photo, see models side by side, change options, save a result.

Streamlit reruns this file at each interaction. What a visitor uploads is held in the session's memory alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

import streamlit as st

from colorgan.callbacks import Callbacks, StopCheck
from colorgan.colorize.options import ColorizeOptions
from colorgan.comparison.app import session
from colorgan.comparison.app.hints import Placed, hint_picker
from colorgan.comparison.app.server import MOST_MB, AppOptions
from colorgan.comparison.app.session import ModelOutput, UploadedPhoto
from colorgan.comparison.app.variants import variant_picker
from colorgan.comparison.formatting import number
from colorgan.comparison.models import ComparedModel, load_models
from colorgan.comparison.options import CompareOptions
from colorgan.comparison.results import GRAY
from colorgan.errors import ColorganError, PhotoError, UsageError
from colorgan.html import data_uri, render
from colorgan.images.formats import PHOTO_SUFFIXES
from colorgan.images.hints import Hint, places_to_json
from colorgan.metrics.registry import METRICS

_FRAME_PX = 640  # until the frame sets its own height
_STATE = "visit"


@dataclass(eq=False)
class _Visit:
    """The current photo of a session, with cached results.

    Attributes:
        file_id: Streamlit's id of the upload.
        uploaded: the photo.
        hints: in the order of placing.
        outputs: predictions without hints, by model and render size.
        steered: predictions with the current hints, likewise.
        seed: of the variants that are shown.
        chosen: seed and number of the variant that all tabs use; number 0 is the plain prediction.
        varied: variants with the current hints, by render size and seed.
        metrics: by saturation and render size.
    """

    file_id: str
    uploaded: UploadedPhoto
    hints: list[Hint] = field(default_factory=list)
    outputs: dict[tuple[str, int | None], ModelOutput] = field(default_factory=dict)
    steered: dict[tuple[str, int | None], ModelOutput] = field(default_factory=dict)
    seed: int = 0
    chosen: tuple[int, int] = (0, 0)
    varied: dict[tuple[int | None, int], list[ModelOutput]] = field(default_factory=dict)
    metrics: dict[tuple[float, int | None], dict[str, dict[str, float]]] = field(default_factory=dict)

    def outputs_at(self, render_size: int | None) -> dict[str, ModelOutput]:
        """Return each model's prediction without hints at a render size."""
        return {name: made for (name, size), made in self.outputs.items() if size == render_size}


@st.cache_resource(show_spinner="Loading the models ...")
def _models(options: AppOptions) -> list[ComparedModel]:
    wanted = CompareOptions(models=options.models, device=options.device)
    return load_models(wanted, StopCheck(Callbacks(), ""))


def main() -> None:
    """Render the page."""
    st.set_page_config("colorgan", layout="wide")
    st.title("Color a photo")
    options = AppOptions.from_environment()
    models = _models(options)
    st.text("The colors are plausible, not true: no model can know the real ones.")
    label = f"A photo, in gray or in color, of at most {MOST_MB} MB and {session.MOST_MEGAPIXELS:g} megapixels"
    file = st.file_uploader(label, type=list(PHOTO_SUFFIXES))
    saturation = st.sidebar.slider("Saturation", 0.0, 2.0, 1.0, 0.05, help="Multiplies the colors; 1 is as predicted.")
    render_size = _render_size(models)
    if file is None:
        st.session_state.pop(_STATE, None)
        st.text("The photo stays on this machine: it is not stored, and nothing is sent anywhere.")
        return
    visit = _visit(file.file_id, file.name, file.getvalue(), options.size)
    if visit is not None:
        _show(visit, models, saturation, render_size)


def _render_size(models: list[ComparedModel]) -> int | None:
    own = ", ".join(f"{model.name} {model.colorizer.info.render_size}" for model in models)
    if not st.sidebar.toggle("Choose the render size", help="The short side at which networks see the photo."):
        st.sidebar.text(f"Render size, pixels: {own}")
        return None
    return st.sidebar.slider("Render size, pixels", 32, 512, 256, 32)


def _visit(file_id: str, name: str, data: bytes, size_px: int) -> _Visit | None:
    """Return the session's state for an upload, which is read once; None, with an error on the page, if unreadable."""
    visit: _Visit | None = st.session_state.get(_STATE)
    if visit is None or visit.file_id != file_id:
        try:
            visit = _Visit(file_id, session.open_photo(name, data, size_px))
        except PhotoError as error:
            st.session_state.pop(_STATE, None)
            st.error("This photo cannot be colored.")
            st.text(f"{error.found}. {error.advice}")  # not as Markdown: a reason may quote the file
            return None
        st.session_state[_STATE] = visit
    return visit


def _output(visit: _Visit, model: ComparedModel, render_size: int | None) -> ModelOutput:
    """Return a model's prediction, cached by render size, and with hints until these change."""
    key = (model.name, render_size)
    if key not in visit.outputs:
        with st.spinner(f"{model.name} ..."):
            visit.outputs[key] = session.predict(visit.uploaded, model, ColorizeOptions(render_size=render_size))
    if not visit.hints:
        return visit.outputs[key]
    if key not in visit.steered:
        visit.steered[key] = session.predict_with_hints(visit.uploaded, visit.outputs[key], visit.hints)
    return visit.steered[key]


def _variants(visit: _Visit, model: ComparedModel, render_size: int | None, seed: int) -> list[ModelOutput]:
    """Return the variants of a model, cached until the hints change."""
    key = (render_size, seed)
    if key not in visit.varied:
        plain = visit.outputs[model.name, render_size]
        visit.varied[key] = session.predict_variants(visit.uploaded, plain, visit.hints, seed)
    return visit.varied[key]


def _outputs(
    visit: _Visit, models: list[ComparedModel], opening: ComparedModel, render_size: int | None
) -> dict[str, ModelOutput]:
    """Return each model's prediction with hints; for the opening model, the chosen variant."""
    outputs = {model.name: _output(visit, model, render_size) for model in models}
    seed, number = visit.chosen
    if number:
        outputs[opening.name] = _variants(visit, opening, render_size, seed)[number]
    return outputs


def _show(visit: _Visit, models: list[ComparedModel], saturation: float, render_size: int | None) -> None:
    uploaded = visit.uploaded
    name = session.opening_model([model.name for model in models])
    opening = next(model for model in models if model.name == name)
    try:
        outputs = _outputs(visit, models, opening, render_size)
        shown = {name: data_uri(jpeg) for name, jpeg in session.pictures(uploaded, outputs, saturation).items()}
    except ColorganError as error:
        st.error("This photo cannot be colored.")
        st.text(str(error))
        return
    titles = ["Compare", "Place color hints", "Variants"]
    compared, steer, vary = st.tabs(titles, key="tab", on_change="rerun")
    with compared:
        _show_slider(uploaded.name, shown, opening.name)
    with steer:
        _show_hints(visit, shown[opening.name])
    if vary.open:
        with vary:
            _show_variants(visit, opening, saturation, render_size)
    for word in uploaded.photo.warnings:
        st.text(word)
    _show_downloads(visit, outputs, saturation)
    key = (saturation, render_size)
    if key not in visit.metrics:
        visit.metrics[key] = session.metrics(uploaded, visit.outputs_at(render_size), saturation)
    _show_metrics(visit.metrics[key])


def _show_slider(photo: str, pictures: Mapping[str, str], opening: str) -> None:
    pages = "colorgan.comparison.app"
    frame = render(pages, "frame", "slider", photo=photo, pictures=pictures, left=GRAY, right=opening)
    st.iframe(frame, height=_FRAME_PX)


def _show_hints(visit: _Visit, picture: str) -> None:
    size = visit.uploaded.photo.size
    hint_picker(picture, size, visit.hints, placed=partial(_place, visit), undone=partial(_undo, visit))


def _show_variants(visit: _Visit, model: ComparedModel, saturation: float, render_size: int | None) -> None:
    try:
        made = _variants(visit, model, render_size, visit.seed)
    except UsageError:
        st.text(f"{model.name} has no variants: its network predicts a single color for each pixel.")
        return
    seed, number = visit.chosen
    variant_picker(
        [data_uri(session.picture(visit.uploaded, each, saturation)) for each in made],
        number if not number or seed == visit.seed else None,
        visit.seed,
        choose=partial(_choose, visit),
        others=partial(_ask_others, visit),
    )


def _choose(visit: _Visit, number: int) -> None:
    visit.chosen = (visit.seed, number)


def _ask_others(visit: _Visit) -> None:
    visit.seed += 1


def _place(visit: _Visit, click: Placed) -> None:
    if click:
        visit.hints.append(session.hint_at(visit.uploaded, click["across"], click["down"], click["color"]))
        _forget_steered(visit)


def _undo(visit: _Visit) -> None:
    del visit.hints[-1:]
    _forget_steered(visit)


def _forget_steered(visit: _Visit) -> None:
    visit.steered.clear()
    visit.varied.clear()


def _show_downloads(visit: _Visit, outputs: dict[str, ModelOutput], saturation: float) -> None:
    with st.container(horizontal=True):
        for name, made in outputs.items():
            st.download_button(
                f"Save {name}",
                partial(session.result, visit.uploaded, made, saturation),
                session.result_name(visit.uploaded, name, made.variant),
                "application/octet-stream",
                on_click="ignore",
            )
        if visit.hints:
            st.download_button(
                "Save the hints",
                places_to_json(visit.hints),
                session.hints_name(visit.uploaded),
                "application/json",
                on_click="ignore",
                help="`colorgan colorize` uses them if they are next to the photo.",
            )


def _show_metrics(rows: dict[str, dict[str, float]]) -> None:
    if not rows:
        st.text("No metrics: the photo has no colors of its own to compare with.")
        return
    better = {"higher": "higher", "lower": "lower", "neither": "-"}
    table = {"metric": [metric.title for metric in METRICS.values()]}
    table["better"] = [better[metric.better] for metric in METRICS.values()]
    for name, values in rows.items():
        table[name] = [number(values.get(metric.name, float("nan")), metric) for metric in METRICS.values()]
    st.dataframe(table, hide_index=True, width="content", height="content")


if __name__ == "__main__":
    main()
