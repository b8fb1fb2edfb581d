"""The page of an output folder: what is on it, in which order, and whose files it leaves alone."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest
from browsing import Browser
from colorizing import Call, make_photos
from PIL import Image

from colorgan import BatchOptions, ColorizeOptions, colorize_files
from colorgan.batch import gallery
from colorgan.batch.gallery import Gallery, command_of
from colorgan.batch.jobs import Job
from colorgan.batch.journals.records import file_state
from colorgan.errors import UsageError
from colorgan.images.hints import Hint

PAGE = BatchOptions(page=True, device="cpu", workers=1)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    make_photos(tmp_path / "in", "a.jpg", "b.png", "sub/c & <d>.tif")
    return tmp_path / "in"


def color(photos: Path, model: Path, batch: BatchOptions = PAGE, **options: object) -> Path:
    out = photos.parent / "out"
    colorize_files([photos], out, ColorizeOptions(**options), batch=batch, model=str(model))
    return out


def names_on(page: Path) -> list[str]:
    return [unescape(name) for name in re.findall(r"<h2><a[^>]*>([^<]*)</a>", page.read_text("utf-8"))]


def commands_on(page: Path) -> list[list[str]]:
    return [shlex.split(unescape(text)) for text in re.findall(r"<code>([^<]*)</code>", page.read_text("utf-8"))]


def test_every_photo_is_on_it_also_those_that_were_done_before(photos: Path, tiny_model: Path) -> None:
    color(photos, tiny_model, BatchOptions(device="cpu", workers=1))
    make_photos(photos, "later.jpg")
    out = color(photos, tiny_model)
    assert sorted(names_on(out / "index.html")) == ["a.jpg", "b.png", "later.jpg", "sub/c & <d>.tif"]
    assert "plausible, not true" in (out / "index.html").read_text("utf-8")
    pictures = re.findall(r'<img src="([^"]*)"', (out / "index.html").read_text("utf-8"))
    assert len(pictures) == 8
    for picture in pictures:
        with Image.open(out / picture) as image:
            assert image.size == (30, 20)


def test_what_is_gone_from_the_folder_is_gone_from_the_page(photos: Path, tiny_model: Path) -> None:
    out = color(photos, tiny_model)
    (photos / "a.jpg").unlink()
    (out / "a.jpg").unlink()
    color(photos, tiny_model)
    assert sorted(names_on(out / "index.html")) == ["b.png", "sub/c & <d>.tif"]
    assert len(list((out / gallery.FOLDER_NAME).glob("*.json"))) == 2


def test_another_setting_shows_other_pictures(photos: Path, tiny_model: Path) -> None:
    def pictures() -> set[bytes]:
        return {path.read_bytes() for path in (photos.parent / "out" / gallery.FOLDER_NAME).glob("*-1.jpg")}

    color(photos, tiny_model)
    before = pictures()
    color(photos, tiny_model, saturation=0.3)
    assert not before & pictures()


def test_the_least_sure_photos_come_first_and_thousands_are_spread_over_pages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gallery, "PHOTOS_A_PAGE", 2)
    shelf = Gallery(tmp_path, ColorizeOptions(), "compact", b"")
    picture = Image.new("RGB", (8, 6))
    for name, sure in (("a.jpg", 0.9), ("b.jpg", None), ("c.jpg", 0.2), ("d.jpg", 0.5), ("e.jpg", 0.5)):
        (tmp_path / name).write_bytes(b"x")
        job = Job(name, name, str(tmp_path), name)
        shelf.add(job, file_state(str(tmp_path / name)), sure, {"before": picture, "after": picture})
    pages = [shelf.write(), *(tmp_path / gallery.FOLDER_NAME / f"page-{number}.html" for number in (2, 3))]
    assert [names_on(page) for page in pages] == [["c.jpg", "d.jpg"], ["e.jpg", "a.jpg"], ["b.jpg"]]
    (tmp_path / "b.jpg").unlink()
    shelf.write()
    assert not pages[2].exists()


def test_the_command_on_it_makes_the_very_result_again(photos: Path, tiny_model: Path, call: Call) -> None:
    out = color(photos, tiny_model, saturation=0.5, edges=False, keep_metadata=False, quality=60, variants=2)
    before = {path: path.read_bytes() for path in out.rglob("*.*") if path.suffix in (".jpg", ".png", ".tif")}
    for words in commands_on(out / "index.html"):
        assert words[:2] == ["colorgan", "colorize"]
        code, _, _ = call(*words[2:])
        assert code == 0
    assert {path: path.read_bytes() for path in before} == before


def test_every_option_of_a_photo_is_in_its_command_as_the_command_line_takes_it() -> None:
    options = ColorizeOptions(
        0.5, 0.7, 64, "square", True, 2, 3, True, 9.0, "png", 80, keep_metadata=False, mark=False, unsure="gray"
    )
    options = replace(
        options, like="red one.jpg", hints=(Hint(1, 2, "navy"), Hint(3, 4, (1, 2, 255))), hints_file="h.png"
    )
    words = shlex.split(command_of(Job("it's.jpg", "", "out", "a.png"), options, "m.safetensors"))
    assert words[2:] == [
        *("it's.jpg", "-o", "out/a.png", "--model", "m.safetensors", "--saturation", "0.5", "--temperature", "0.7"),
        *("--render-size", "64", "--fit", "square", "--confidence", "--variants", "2", "--seed", "3", "--edges"),
        *("--max-megapixels", "9.0", "--quality", "80", "--strip-metadata", "--no-mark", "--unsure", "gray"),
        *("--like", "red one.jpg", "--hint", "1,2=navy", "--hint", "3,4=#0102ff", "--hints", "h.png"),
        "--overwrite",
    ]


def test_a_page_of_somebody_elses_is_only_replaced_to_overwrite(photos: Path, tiny_model: Path) -> None:
    out = photos.parent / "out"
    out.mkdir()
    (out / "index.html").write_text("<p>my own</p>")
    with pytest.raises(UsageError, match="no page of another program"):
        color(photos, tiny_model)
    assert (out / "index.html").read_text() == "<p>my own</p>"
    assert not (out / "a.jpg").exists()
    color(photos, tiny_model, BatchOptions(page=True, overwrite=True, device="cpu"))
    color(photos, tiny_model)
    assert len(names_on(out / "index.html")) == 3


@pytest.mark.parametrize("output", [None, "a-color.jpg"])
def test_without_an_output_folder_there_is_no_place_for_it(photos: Path, tiny_model: Path, output: str | None) -> None:
    target = None if output is None else photos.parent / output
    with pytest.raises(UsageError, match="an output folder for the page"):
        colorize_files([photos / "a.jpg"], target, batch=PAGE, model=str(tiny_model))


def test_a_page_and_a_cluster_are_refused_together(photos: Path) -> None:
    with pytest.raises(UsageError, match="`page` without a Ray cluster: one is given"):
        colorize_files(photos, photos.parent / "out", batch=PAGE, ray="auto")


def test_only_what_was_asked_for_is_written_beside_the_results(photos: Path, tiny_model: Path) -> None:
    out = color(photos, tiny_model)
    assert list(out.rglob("*-confidence.png")) == []


def test_a_photo_of_an_album_says_that_its_album_is_made_again(photos: Path, tiny_model: Path) -> None:
    out = color(photos, tiny_model, replace(PAGE, album=True))
    assert commands_on(out / "index.html") == []
    assert "with --overwrite" in (out / "index.html").read_text("utf-8")
    assert "Colors likely right" in (out / "index.html").read_text("utf-8")


def test_the_command_says_where_it_is_and_json_too(photos: Path, tiny_model: Path, call: Call) -> None:
    out = photos.parent / "out"
    _, _, err = call(photos, "-o", out, "--model", tiny_model, "--page")
    assert f"Page: {out / 'index.html'}" in err
    _, printed, _ = call(photos, "-o", out, "--model", tiny_model, "--page", "--json")
    assert json.loads(printed.splitlines()[-1])["page"] == str(out / "index.html")


# The widths of the pictures that are to be seen, once they are there.
_SEEN = (
    "const seen = [...document.images].filter((image) => image.offsetParent);"
    "return Promise.all(seen.map((image) => image.decode().then(() => image.naturalWidth)))"
)

# --- in a browser --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> str:
    folder = tmp_path_factory.mktemp("page")
    make_photos(folder / "in", "a.jpg", 'b"><script>document.title="hit"</script>.png')
    options = ColorizeOptions(variants=2)
    colorize_files([folder / "in"], folder / "out", options, batch=PAGE, model=str(tiny_model))
    return (folder / "out" / "index.html").as_uri()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_it_shows_pictures_loads_nothing_from_a_network_and_nobody_is_kept_out(
    browser: Browser, page: str, width: int, scheme: str
) -> None:
    browser.requests()
    browser.open(page, width, scheme=scheme)
    assert browser.run(_SEEN) == [30] * 4
    assert browser.run("return document.title") == "2 photos in color"
    assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
    assert all(address.startswith("file:") for address in browser.requests())
    assert browser.complaints() == []
    assert browser.barriers() == []


def test_the_arrow_keys_move_a_slider_and_the_switches_choose_a_variant(browser: Browser, page: str) -> None:
    browser.open(page)
    keys = pytest.importorskip("selenium.webdriver.common.keys").Keys
    slider = browser.driver.find_element("css selector", ".slider input")
    slider.send_keys(keys.ARROW_RIGHT)
    assert browser.run("return document.querySelector('.slider').style.getPropertyValue('--at')") == "51%"
    browser.run("document.querySelector('input[name=right][value=\"variant 2\"]').click()")
    assert browser.run("return document.querySelector('.layer.right').dataset.row") == "variant 2"
