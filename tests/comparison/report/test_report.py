"""The page of a comparison, in a browser: with names that would do harm if they could."""

import os
import re
import zipfile
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from browsing import Browser
from PIL import Image

from colorgan.comparison.compare import compare
from colorgan.comparison.formatting import PERCEPTUAL
from colorgan.comparison.options import CompareOptions
from colorgan.comparison.report.report import HTML_NAME, write_report
from colorgan.comparison.results import Comparison, Difference, PublishedRow
from colorgan.metrics.bootstrap import Interval
from colorgan.metrics.registry import METRICS

HOSTILE = '"><script>document.title=\'taken\'</script><img src="https://example.org/x" onerror="alert(\'taken\')">'
HOSTILE_FOLDER = "second" if os.name == "nt" else "\"><img src=x onerror=document.title='taken'>"


@pytest.fixture(scope="module")
def written(
    tmp_path_factory: pytest.TempPathFactory, models: tuple[str, str], colored: Callable[..., Image.Image]
) -> tuple[Comparison, Path]:
    """A comparison of two models, one of which has a hostile name as each photo has, and its page."""
    folder = tmp_path_factory.mktemp("page")
    with zipfile.ZipFile(folder / "photos.zip", "w") as archive:
        for seed in range(11):  # of fewer than ten with colors nothing is called better
            data = BytesIO()
            colored(seed, 64, 56).convert("L" if seed == 6 else "RGB").save(data, "PNG")
            archive.writestr(f"{HOSTILE}{seed}.png", data.getvalue())
        archive.writestr(f"broken {HOSTILE}.png", b"nonsense")
    second = folder / HOSTILE_FOLDER / "weights" / "best.safetensors"
    second.parent.mkdir(parents=True)
    second.write_bytes(Path(models[1]).read_bytes())
    options = CompareOptions(models=(models[0], str(second)), size=32, examples=3, device="cpu")
    found = compare([folder / "photos.zip"], folder / "out", options)
    return found, folder / "out" / HTML_NAME


@pytest.fixture
def page(browser: Browser, written: tuple[Comparison, Path]) -> Browser:
    browser.open(written[1].as_uri())
    return browser


def press(page: Browser, selector: str, *keys: str) -> None:
    """Give keys to an element."""
    from selenium.webdriver.common.by import By

    page.driver.find_element(By.CSS_SELECTOR, selector).send_keys(*keys)


def column(page: Browser, number: int) -> list[str]:
    rows = "[...document.querySelectorAll('.metrics tbody tr')]"
    return page.run(f"return {rows}.map((row) => row.cells[arguments[0]].firstChild.textContent.trim())", number)


def test_the_table_is_sorted_by_mouse_and_by_keyboard(page: Browser, written: tuple[Comparison, Path]) -> None:
    from selenium.webdriver.common.keys import Keys

    number = list(METRICS).index("ciede2000") + 1
    assert column(page, 0) == [row.name for row in written[0].rows]
    page.run("document.querySelectorAll('.metrics th button')[arguments[0]].click()", number)
    cells = column(page, number)
    assert cells[-1] == "-"
    assert cells[:-1] == sorted(cells[:-1], key=float)
    head = f".metrics thead th:nth-child({number + 1})"
    assert page.run(f"return document.querySelector('{head}').ariaSort") == "ascending"
    press(page, f"{head} button", Keys.ENTER)
    assert column(page, number) == [*cells[-2::-1], "-"]
    assert page.run("return [...document.querySelectorAll('[aria-sort]')].map((head) => head.ariaSort)") == [
        "descending"
    ]


def test_figures_stand_with_their_intervals_and_pairs_in_words(page: Browser, written: tuple[Comparison, Path]) -> None:
    found = written[0]
    text = page.run("return document.body.innerText")
    low = f"{found.row('first').metrics['psnr'].low:.2f}"
    assert f"[{low}, " in text
    significant = [each.words for each in found.differences if each.significant]
    assert significant
    assert all(words in text for words in significant)
    assert found.answer in text
    assert found.protocol.line() in text
    assert "broken " in text
    assert [group for group in ("Best photos", "Photos between", "Worst photos") if group in text] != []
    assert page.run("return document.querySelectorAll('#chroma ~ .panels svg[role=img]').length") == 2
    assert page.run("return document.querySelectorAll('#calibration ~ .panels svg[role=img]').length") == 2


def test_every_number_of_a_histogram_stands_inside_its_drawing(page: Browser) -> None:
    beyond = page.run(
        "return [...document.querySelectorAll('.panel svg text')].filter((text) => {"
        "const [own, all] = [text, text.ownerSVGElement].map((each) => each.getBoundingClientRect());"
        "return own.left < all.left || own.right > all.right || own.bottom > all.bottom;})"
        ".map((text) => text.textContent)"
    )
    assert beyond == []
    assert page.run("return document.querySelectorAll('.panel svg text').length") > 0


def test_a_slider_follows_the_arrow_keys_and_the_pointer(page: Browser) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    at = "return document.querySelector('.slider').style.getPropertyValue('--at')"
    assert page.run(at) == "50%"
    press(page, ".slider input", Keys.ARROW_LEFT, Keys.ARROW_LEFT)
    assert page.run(at) == "48%"
    assert page.run("return document.querySelector('.slider input').ariaValueText") == "48% of gray, the rest of first"
    slider = page.driver.find_element(By.CSS_SELECTOR, ".slider")
    quarter = slider.size["width"] // 4
    ActionChains(page.driver).move_to_element(slider).click_and_hold().move_by_offset(quarter, 3).release().perform()
    assert 70 <= int(page.run(at).rstrip("%")) <= 80
    clipped = "return getComputedStyle(document.querySelector('.layer.right')).clipPath"
    assert page.run(clipped).startswith("inset(0px 0px 0px 7")


def test_a_switch_shows_another_model_on_every_photo(page: Browser) -> None:
    from selenium.webdriver.common.keys import Keys

    shown = "return [...document.querySelectorAll('.layer.right')].map((layer) => layer.dataset.row)"
    assert page.run(shown) == ["first"] * 4
    press(page, "input[name=right]:checked", Keys.ARROW_RIGHT)
    assert page.run(shown) == [HOSTILE_FOLDER] * 4
    press(page, "input[name=right]:checked", Keys.ARROW_LEFT, Keys.ARROW_LEFT)
    assert page.run(shown) == ["original"] * 3  # the gray photo has none: it shows gray alone
    press(page, "input[name=left]:checked", Keys.ARROW_RIGHT)
    assert page.run("return document.querySelectorAll('.slider.same').length") == 4


def test_hostile_names_are_text_and_nothing_is_asked_of_a_network(
    browser: Browser, written: tuple[Comparison, Path]
) -> None:
    browser.requests()
    browser.complaints()
    browser.open(written[1].as_uri())
    browser.driver.set_window_size(1200, 800)
    assert {address.split(":")[0] for address in browser.requests()} == {"file", "data"}
    assert browser.complaints() == []
    assert browser.driver.title.startswith("first, ")
    assert browser.run("return document.scripts.length") == 1
    assert browser.run("return document.querySelectorAll('[onerror], img:not([src^=\"data:image/jpeg\"])').length") == 0
    text = browser.run("return document.body.innerText")
    assert text.count(f"{HOSTILE}") >= 5
    assert HOSTILE_FOLDER in text


@pytest.mark.parametrize(
    "part",
    ["script", "img", "style"],
)
def test_what_slipped_past_the_escaping_would_still_be_refused(page: Browser, part: str) -> None:
    refused = page.driver.execute_async_script(
        "const done = arguments[arguments.length - 1];"
        "document.addEventListener('securitypolicyviolation', (event) => done(event.effectiveDirective));"
        "const element = document.createElement(arguments[0]);"
        "if (arguments[0] === 'img') element.src = 'https://example.org/x';"
        "else element.textContent = 'document.title = \"taken\"';"
        "document.body.append(element);",
        part,
    )
    assert refused == {"script": "script-src-elem", "img": "img-src", "style": "style-src-elem"}[part]
    assert page.driver.title != "taken"
    page.complaints()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_barrier(browser: Browser, written: tuple[Comparison, Path], scheme: str) -> None:
    browser.open(written[1].as_uri(), scheme=scheme)
    browser.run("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    assert browser.barriers() == []


def test_at_1280_pixels_no_table_is_wider_than_its_place_and_on_a_phone_it_says_so(
    browser: Browser, written: tuple[Comparison, Path]
) -> None:
    hidden = "return [...document.querySelectorAll('.wide')].filter((box) => box.scrollWidth > box.clientWidth).length"
    said = "return getComputedStyle(document.querySelector('.wide'), '::before').content"
    browser.open(written[1].as_uri(), width=1280, height=900)
    assert browser.run(hidden) == 0
    assert browser.run(said) == "none"
    browser.open(written[1].as_uri(), width=360, height=740)
    assert browser.run(hidden) > 0
    assert "sideways" in browser.run(said)


def test_each_license_is_named_once(page: Browser) -> None:
    text = page.run("return document.querySelector('#models').parentElement.innerText")
    assert text.count("MIT") == 1
    assert f"first, {HOSTILE_FOLDER}: MIT" in text


def test_a_phone_shows_the_page_without_scrolling_sideways(browser: Browser, written: tuple[Comparison, Path]) -> None:
    browser.open(written[1].as_uri(), width=360, height=740)
    assert browser.run("return document.documentElement.scrollWidth") == 360


def test_without_scripts_every_picture_is_seen(browser: Browser, written: tuple[Comparison, Path]) -> None:
    browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.open(written[1].as_uri())
        seen = browser.run("return [...document.images].filter((image) => image.checkVisibility()).length")
    finally:
        browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert seen == 3 * 4 + 3


def test_one_photo_has_a_page_without_intervals(
    tmp_path: Path, models: tuple[str, str], colored: Callable[..., Image.Image]
) -> None:
    colored(3).save(tmp_path / "one.png")
    options = CompareOptions(models=models, size=32, device="cpu")
    compare([tmp_path / "one.png"], tmp_path / "out", options)
    text = (tmp_path / "out" / HTML_NAME).read_text("utf-8")
    assert "first, second on 1 photo<" in text
    assert 'id="pairs"' not in text
    assert "nan" not in text
    assert "more are in the folder" not in text
    colored(3).convert("L").save(tmp_path / "gray.png")
    compare([tmp_path / "gray.png"], tmp_path / "old", replace(options, models=models[:1]))
    text = (tmp_path / "old" / HTML_NAME).read_text("utf-8")
    assert 'id="metrics"' not in text
    assert "Photos without true colors" in text


def test_figures_of_the_set_and_published_ones_stand_where_there_are_any(written: tuple[Comparison, Path]) -> None:
    rows = [replace(row, perceptual=dict.fromkeys(PERCEPTUAL, 0.123456)) for row in written[0].rows]
    published = [PublishedRow("ECCV16", "a table", {"cf": 31.6, "psnr": 22.64})]
    write_report(written[1].parent, replace(written[0], rows=rows, published=published))
    text = written[1].read_text("utf-8")
    write_report(written[1].parent, written[0])
    assert text.count("<td>0.1235</td>") == len(PERCEPTUAL) * len(rows)
    assert "ECCV16: PSNR 22.64, colorfulness (abs.) 31.6" in text
    assert "Of the set" not in written[1].read_text("utf-8")


def test_a_page_holds_so_many_photos_and_says_where_the_others_are(
    written: tuple[Comparison, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    best = [replace(written[0].examples[0], photo=f"photo {number}") for number in range(5)]
    monkeypatch.setattr("colorgan.comparison.report.report.MOST_SHOWN", 2)
    write_report(written[1].parent, replace(written[0], examples=best))
    text = written[1].read_text("utf-8")
    write_report(written[1].parent, written[0])
    assert "photo 1" in text
    assert "photo 2" not in text
    assert "3 more are in the folder sheets" in text


def test_a_value_is_marked_where_its_model_is_certainly_better_than_every_other(
    written: tuple[Comparison, Path],
) -> None:
    first, second = (row.name for row in written[0].models)
    differences = [
        Difference(metric, first, second, Interval(value, value - 0.1, value + 0.1, 10), significant, "")
        for metric, value, significant in (("psnr", 1.0, True), ("ssim", 1.0, False), ("ciede2000", 1.0, True))
    ]
    write_report(written[1].parent, replace(written[0], differences=differences))
    text = written[1].read_text("utf-8")
    write_report(written[1].parent, written[0])
    values = [written[0].row(name).metrics[metric].value for name, metric in ((first, "psnr"), (second, "ciede2000"))]
    assert re.findall(r'<td data-value="([^"]*)" class="best">', text) == [str(value) for value in values]
