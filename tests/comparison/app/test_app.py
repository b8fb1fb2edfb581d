"""The app, by itself and in a browser."""

import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from browsing import Browser
from PIL import Image
from processes import DEADLINE_S, Process, running, wait_until

import colorgan.comparison.app.server as serving
from colorgan.callbacks import Callbacks
from colorgan.errors import ColorganError, OutputError, UsageError

needs_streamlit = pytest.mark.skipif(
    importlib.util.find_spec("streamlit") is None, reason="the extra app is not installed"
)
HOSTILE = "![x](https://example.org/x) <img src=x onerror=alert(1)>.png"


class Page:
    """The app in a browser. It draws itself piece by piece and some pieces twice: all is asked for until it is there.

    Args:
        browser: that shows it.
        address: of the app.
    """

    def __init__(self, browser: Browser, address: str) -> None:
        self._browser = browser
        browser.open(address)

    def until(self, ask: Callable[[], Any]) -> Any:
        """What this gives as soon as it gives something."""
        from selenium.common.exceptions import StaleElementReferenceException

        found = None

        def happened() -> Any:
            nonlocal found
            with suppress(StaleElementReferenceException):  # drawn anew in between
                found = ask()
            return found

        wait_until(happened, pause_s=0.1)
        return found

    def until_it_says(self, *words: str) -> str:
        """The text of the page once all words are in it."""

        def says() -> str | None:
            text: str = self._browser.run("return document.body.innerText")
            return text if all(word in text for word in words) else None

        return str(self.until(says))

    def all_of(self, selector: str) -> Any:
        """The elements that the selector finds now."""
        from selenium.webdriver.common.by import By

        return self._browser.driver.find_elements(By.CSS_SELECTOR, selector)

    def open_tab(self, title: str) -> None:
        """Go to a tab."""

        def is_open() -> bool:
            for tab in self.all_of("[data-testid=stTab]"):
                if tab.text == title and tab.get_attribute("aria-selected") == "true":
                    return True
                if tab.text == title:
                    tab.click()
            return False

        self.until(is_open)

    def drop(self, photo: Path) -> None:
        """Give the app a photo."""

        def give() -> bool:
            chooser = self.all_of("input[type=file]")
            if chooser:
                chooser[0].send_keys(str(photo))
            return bool(chooser)

        self.until(give)


@pytest.fixture(scope="module")
def app(models: tuple[str, str]) -> Iterator[tuple[Process, str]]:
    """The command as a user starts it, and the address that it prints; settings of the user's would open it to all."""
    if importlib.util.find_spec("streamlit") is None:
        pytest.skip("the extra app is not installed")
    if os.name == "nt":
        pytest.skip("Windows cannot ask one process to end")
    environment = os.environ | {"STREAMLIT_SERVER_ADDRESS": "0.0.0.0", "STREAMLIT_BROWSER_GATHER_USAGE_STATS": "true"}
    command = [sys.executable, "-m", "colorgan", "compare", "--app", "--models", ",".join(models), "--device", "cpu"]
    with running(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        line = process.stdout.readline() if process.stdout else ""
        found = re.fullmatch(r"App: (http://127\.0\.0\.1:\d+)\n", line)
        assert found, line + (process.stderr.read() if process.stderr else "")
        yield process, found[1]


def test_a_photo_is_dropped_shown_measured_and_saved(
    app: tuple[Process, str], browser: Browser, colored: Callable[..., Image.Image], tmp_path: Path
) -> None:
    photo = tmp_path / ("photo.png" if os.name == "nt" else HOSTILE.replace("/", "|"))
    colored(5).save(photo)
    browser.driver.execute_cdp_cmd(
        "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path / "saved")}
    )
    browser.requests()  # those of earlier tests are dropped
    page = Page(browser, app[1])
    page.drop(photo)
    page.until(lambda: page.all_of("[data-testid=stDataFrame]"))
    names = ["Save first", "Save second"]
    page.until(lambda: [found.text for found in page.all_of("[data-testid=stDownloadButton] button")] == names)
    browser.driver.switch_to.frame(page.until(lambda: page.all_of("iframe"))[0])
    page.until(lambda: browser.run("return document.querySelector('.slider')?.classList.contains('ready')"))
    rows = browser.run("return [...document.querySelectorAll('.layer')].map((layer) => layer.dataset.row)")
    assert rows == ["gray", "first", "second", "original"]
    assert browser.barriers() == []
    browser.driver.switch_to.default_content()
    browser.run("document.querySelector('[data-testid=stDownloadButton] button').click()")
    saved = page.until(lambda: [path for path in (tmp_path / "saved").glob("*.png") if path.stat().st_size])[0]
    assert saved.name.endswith("-first.png")
    with Image.open(saved) as image:
        assert image.size == (56, 40)
    asked = browser.requests()
    assert {address.split("/")[2] for address in asked if address.startswith("http")} == {app[1].split("/")[2]}


_INSIDE = """
    const within = (root) => [...root.querySelectorAll("*")].map((each) => each.shadowRoot).filter(Boolean);
    const root = within(document).find((each) => each.querySelector(".photo"));
    const image = root?.querySelector("img");
"""
_CLICK = """
    const box = image.getBoundingClientRect();
    const where = { clientX: box.left + arguments[0] * box.width, clientY: box.top + arguments[1] * box.height };
    root.querySelector(".photo").dispatchEvent(new MouseEvent("click", { bubbles: true, ...where }));
"""


def with_photo(app: tuple[Process, str], browser: Browser, photo: Image.Image, folder: Path) -> Page:
    """The page with `coat.png` on it; what is downloaded goes into `saved`."""
    photo.save(folder / "coat.png")
    saved = {"behavior": "allow", "downloadPath": str(folder / "saved")}
    browser.driver.execute_cdp_cmd("Browser.setDownloadBehavior", saved)
    page = Page(browser, app[1])
    page.drop(folder / "coat.png")
    return page


def test_a_place_is_clicked_its_color_spreads_and_is_undone_and_saved(
    app: tuple[Process, str], browser: Browser, colored: Callable[..., Image.Image], tmp_path: Path
) -> None:
    page = with_photo(app, browser, colored(5), tmp_path)
    page.open_tab("Place color hints")

    def picture() -> str:
        return str(browser.run(f"{_INSIDE} return image?.naturalWidth ? image.src : ''"))

    def marks() -> list[str]:
        found: list[str] = browser.run(f"{_INSIDE} return [...root.querySelectorAll('.mark')].map((m) => m.style.left)")
        return found

    plain = page.until(picture)
    browser.run(f"{_INSIDE} const name = root.querySelector('input[type=text]'); name.value = 'navy'; name.onchange()")
    browser.run(_INSIDE + _CLICK, 0.26, 0.51)
    page.until(lambda: len(marks()) == 1)
    steered = page.until(lambda: picture() if picture() != plain else "")
    browser.run(f"{_INSIDE} root.querySelector('[data-does=keep]').click()")
    browser.run(_INSIDE + _CLICK, 0.75, 0.5)
    page.until(lambda: len(marks()) == 2 and picture() != steered)  # the app has seen it
    browser.run(f"{_INSIDE} root.querySelector('[data-does=undo]').click()")
    page.until(lambda: len(marks()) == 1 and picture() == steered)
    save = page.until(lambda: [each for each in page.all_of("button") if each.text == "Save the hints"])[0]
    browser.run("arguments[0].click()", save)
    saved = page.until(lambda: [path for path in (tmp_path / "saved").glob("*.json") if path.stat().st_size])[0]
    assert saved.name == "coat.hints.json"
    assert json.loads(saved.read_text())["hints"] == [{"x": 14, "y": 20, "color": "#000080"}]
    asked = browser.requests()
    assert {address.split("/")[2] for address in asked if address.startswith("http")} == {app[1].split("/")[2]}


def test_of_variants_side_by_side_one_is_chosen_to_go_on_with(
    app: tuple[Process, str], browser: Browser, colored: Callable[..., Image.Image], tmp_path: Path
) -> None:
    page = with_photo(app, browser, colored(5), tmp_path)

    def pressed(words: str) -> None:
        found = page.until(lambda: [each for each in page.all_of("button") if each.text == words and each.is_enabled()])
        browser.run("arguments[0].click()", found[0])

    def variants() -> list[str]:
        shown: list[str] = browser.run(
            "return [...document.querySelectorAll('[data-testid=stHtml] img')].map((image) => image.src)"
        )
        return shown if len(shown) == 4 else []

    def steered() -> str:
        return str(browser.run(f"{_INSIDE} return image?.naturalWidth ? image.src : ''"))

    page.open_tab("Variants")
    first = page.until(variants)
    assert len(set(first)) == 4
    assert [rule for rule, _ in browser.barriers() if rule == "image-alt"] == []
    page.until_it_says("--variants 4 --seed 0", "In use: As predicted")
    pressed("Use: Variant 3")
    page.until_it_says("In use: Variant 3", "Use: As predicted")
    page.open_tab("Place color hints")
    page.until(lambda: steered() == first[2])
    browser.run(_INSIDE + _CLICK, 0.26, 0.51)
    page.until(lambda: steered() != first[2])
    page.open_tab("Variants")
    page.until(lambda: variants() and variants()[2] == steered())
    pressed("Show others")
    page.until_it_says("--variants 4 --seed 1", "Use: Variant 3")
    assert steered() not in page.until(variants)
    pressed("Save first")
    saved = page.until(lambda: [path for path in (tmp_path / "saved").glob("*.png") if path.stat().st_size])[0]
    assert saved.name == "coat-first-variant-3.png"


def test_what_is_no_photo_and_what_is_too_large_gets_the_reason(
    app: tuple[Process, str], browser: Browser, tmp_path: Path
) -> None:
    (tmp_path / "bad.png").write_bytes(b"nonsense")
    page = Page(browser, app[1])
    page.until_it_says("at most 25 MB and 100 megapixels")
    page.until(lambda: "25MB" in page.until_it_says("25").replace(" ", ""))
    page.drop(tmp_path / "bad.png")
    assert "Traceback" not in page.until_it_says("cannot be colored", "not a JPEG, PNG")
    with (tmp_path / "large.png").open("wb") as file:
        file.truncate(26 * 2**20)
    page.drop(tmp_path / "large.png")
    page.until_it_says("must be 25")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says in a file where a process listens")
def test_it_listens_on_this_machine_alone(app: tuple[Process, str]) -> None:
    port = int(app[1].rpartition(":")[2])
    tables = [Path(f"/proc/net/{name}").read_text() for name in ("tcp", "tcp6")]
    lines = [line.split() for table in tables for line in table.splitlines()[1:]]
    listening = [fields[1] for fields in lines if fields[3] == "0A" and fields[1].endswith(f":{port:04X}")]
    assert listening == [f"0100007F:{port:04X}"]  # 127.0.0.1
    with urllib.request.urlopen(f"{app[1]}/_stcore/health", timeout=DEADLINE_S) as answer:
        assert answer.read() == b"ok"


@needs_streamlit
def test_it_is_drawn_before_a_photo_is_there(models: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    from streamlit.testing.v1 import AppTest

    monkeypatch.setenv("COLORGAN_APP", json.dumps({"models": models, "device": "cpu", "size": 32}))
    drawn = AppTest.from_file(str(Path(serving.__file__).with_name("app.py")), default_timeout=DEADLINE_S).run()
    assert not drawn.exception
    assert drawn.sidebar.slider[0].value == 1.0
    assert "plausible, not true" in drawn.text[0].value
    assert "first 16, second 16" in drawn.sidebar.text[0].value
    drawn.sidebar.toggle[0].set_value(True).run()
    assert not drawn.exception
    assert [slider.label for slider in drawn.sidebar.slider] == ["Saturation", "Render size, pixels"]


def test_without_its_extra_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"colorgan\[app\]"):
        serving.check_app()


@needs_streamlit
def test_a_port_that_is_taken_is_an_error(app: tuple[Process, str]) -> None:
    with pytest.raises(ColorganError) as caught:
        serving.serve(serving.AppOptions(), int(app[1].rpartition(":")[2]), lambda address: None, Callbacks())
    assert isinstance(caught.value, OutputError)
    assert "another port" in caught.value.advice


def test_ctrl_c_ends_it_with_130_and_nothing_is_left(app: tuple[Process, str]) -> None:
    process, address = app
    process.send_signal(signal.SIGINT)
    _, words = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 128 + signal.SIGINT
    assert "Traceback" not in words
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(address, timeout=DEADLINE_S)
