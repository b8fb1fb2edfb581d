from collections.abc import Callable
from io import BytesIO

import numpy as np
import pytest
from pictures import encoded
from PIL import Image

from colorgan.callbacks import Callbacks, StopCheck
from colorgan.colorize.options import DEFAULT_MODEL, ColorizeOptions
from colorgan.comparison.app.session import (
    MOST_SIDE_PX,
    hint_at,
    metrics,
    open_photo,
    opening_model,
    pictures,
    predict,
    predict_variants,
    predict_with_hints,
    result,
    result_name,
)
from colorgan.comparison.compare import compare
from colorgan.comparison.models import ComparedModel, load_models
from colorgan.comparison.options import CompareOptions
from colorgan.errors import PhotoError
from colorgan.images.hints import Hint

Draw = Callable[..., Image.Image]
AS_IT_IS = ColorizeOptions()


@pytest.fixture(scope="module")
def loaded(models: tuple[str, str]) -> list[ComparedModel]:
    options = CompareOptions(models=models, device="cpu")
    return load_models(options, StopCheck(Callbacks(), ""))


def open_image(data: bytes) -> Image.Image:
    return Image.open(BytesIO(data))


def test_a_photo_is_shown_in_gray_in_each_models_colors_and_in_its_own(
    loaded: list[ComparedModel], colored: Draw
) -> None:
    uploaded = open_photo("a.png", encoded(colored(1)), 32)
    outputs = {model.name: predict(uploaded, model, AS_IT_IS) for model in loaded}
    shown = {name: np.asarray(open_image(jpeg), np.int16) for name, jpeg in pictures(uploaded, outputs, 1.0).items()}
    assert list(shown) == ["gray", "first", "second", "original"]
    assert {picture.shape for picture in shown.values()} == {(40, 56, 3)}
    assert np.ptp(shown["gray"], axis=2).max() <= 2
    assert np.abs(shown["first"] - shown["second"]).mean() > 2
    grayed = np.asarray(open_image(pictures(uploaded, outputs, 0.0)["first"]), np.int16)
    assert np.ptp(grayed, axis=2).max() <= 2


def test_its_metrics_are_those_of_a_comparison(
    loaded: list[ComparedModel], models: tuple[str, str], colored: Draw, tmp_path, watching
) -> None:
    colored(2).save(tmp_path / "b.png")
    found = compare(
        [tmp_path / "b.png"], tmp_path / "out", CompareOptions(models, 32, device="cpu"), callbacks=watching
    )
    uploaded = open_photo("b.png", (tmp_path / "b.png").read_bytes(), 32)
    outputs = {model.name: predict(uploaded, model, AS_IT_IS) for model in loaded}
    rows = metrics(uploaded, outputs, 1.0)
    for row in found.rows:
        expected = {name: values[0] for name, values in row.values.items()}
        assert rows[row.name] == pytest.approx(expected, rel=1e-4, abs=1e-4, nan_ok=True)
    calmer = metrics(uploaded, outputs, 0.5)
    assert calmer["first"]["cf_hs"] < rows["first"]["cf_hs"]
    assert calmer["original"] == pytest.approx(rows["original"], nan_ok=True)


def test_a_gray_photo_has_no_metrics_and_no_original(loaded: list[ComparedModel], colored: Draw) -> None:
    uploaded = open_photo("old.png", encoded(colored(3).convert("L")), 32)
    outputs = {"first": predict(uploaded, loaded[0], AS_IT_IS)}
    assert metrics(uploaded, outputs, 1.0) == {}
    assert list(pictures(uploaded, outputs, 1.0)) == ["gray", "first"]


def test_the_render_size_is_what_the_network_sees(loaded: list[ComparedModel], colored: Draw) -> None:
    uploaded = open_photo("a.png", encoded(colored(1)), 32)
    assert predict(uploaded, loaded[0], ColorizeOptions(render_size=24)).colors.ab.shape[1:] == (24, 34)


@pytest.mark.parametrize(("kind", "name"), [("JPEG", "a-first.jpg"), ("PNG", "a-first.png"), ("GIF", "a-first.png")])
def test_a_result_has_the_photos_size_and_kind(
    loaded: list[ComparedModel], colored: Draw, kind: str, name: str
) -> None:
    large = colored(4).resize((MOST_SIDE_PX + 80, 64))
    uploaded = open_photo(f"a.{kind.lower()}", encoded(large, kind), 32)
    assert max(uploaded.preview.size) == MOST_SIDE_PX
    made = predict(uploaded, loaded[0], AS_IT_IS)
    saved = open_image(result(uploaded, made, 1.0))
    assert saved.size == large.size
    assert np.ptp(np.asarray(saved.convert("RGB"), np.int16), axis=2).mean() > 5
    assert result_name(uploaded, "first") == name


def test_the_app_opens_with_the_model_that_colorize_takes() -> None:
    assert opening_model(["eccv16", DEFAULT_MODEL, "gan"]) == DEFAULT_MODEL
    assert opening_model(["eccv16", "gan"]) == "eccv16"


@pytest.mark.parametrize("data", [b"", b"nonsense", b"\x89PNG\r\n\x1a\n" + b"0" * 40])
def test_what_is_no_photo_has_a_reason(data: bytes) -> None:
    with pytest.raises(PhotoError):
        open_photo("a.png", data, 32)


def test_a_huge_picture_is_refused(colored: Draw, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("colorgan.comparison.app.session.MOST_MEGAPIXELS", 0.002)
    with pytest.raises(PhotoError, match="megapixels") as caught:
        open_photo("a.png", encoded(colored(1)), 32)
    assert caught.value.parameter == ""  # there is no option by which the app would allow more
    assert "colorgan colorize" in caught.value.advice


def test_variants_are_those_of_the_library_and_hints_hold_in_each(loaded: list[ComparedModel], colored: Draw) -> None:
    photo = colored(4)
    uploaded = open_photo("d.png", encoded(photo), 32)
    made = predict(uploaded, loaded[0], AS_IT_IS)
    hints = [Hint(20, 20, "keep")]
    several = predict_variants(uploaded, made, hints, seed=3)
    expected = loaded[0].colorizer.colorize_variants(photo, len(several), seed=3, hints=hints)
    for variant, wanted in zip(several, expected, strict=True):
        saved = np.asarray(open_image(result(uploaded, variant, 1.0)), np.int16)
        assert np.abs(saved - np.asarray(wanted, np.int16)).mean() < 2
        assert np.ptp(saved[20, 20]) < 12
    assert result_name(uploaded, "first", several[1].variant) == "d-first-variant-2.png"


def test_a_hint_colors_its_place_in_what_is_shown_and_in_the_result(loaded: list[ComparedModel], colored: Draw) -> None:
    uploaded = open_photo("d.png", encoded(colored(4)), 32)
    plain = predict(uploaded, loaded[0], AS_IT_IS)
    hint = hint_at(uploaded, 0.5, 0.5, "keep")
    made = predict_with_hints(uploaded, plain, [hint])
    assert made.square is plain.square
    shown = np.asarray(open_image(pictures(uploaded, {"first": made}, 1.0)["first"]), np.int16)
    saved = np.asarray(open_image(result(uploaded, made, 1.0)), np.int16)
    for picture in (shown, saved):
        height, width = picture.shape[:2]
        assert np.ptp(picture[height // 2, width // 2]) < 12
    assert hint_at(uploaded, 1.0, 1.0, "navy") == Hint(uploaded.photo.size[0] - 1, uploaded.photo.size[1] - 1, "navy")
