"""The app, by itself and in a browser."""

import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import Browser, chromium
from PIL import Image

import colorgan.compare.serving as serving
from colorgan.errors import ColorganError, OutputError, UsageError

needs_streamlit = pytest.mark.skipif(
    importlib.util.find_spec("streamlit") is None, reason="the extra `app` is not installed"
)
HOSTILE = "![x](https://example.org/x) <img src=x onerror=alert(1)>.png"
_PATIENCE_S = 120.0


def until(ask: Callable[[], Any]) -> Any:
    """What this gives as soon as it gives something."""
    end = time.monotonic() + _PATIENCE_S
    while not (found := ask()):
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.1)
    return found


@pytest.fixture(scope="module")
def app(models: tuple[str, str]) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command as a user starts it, and the address that it prints; settings of the user's would open it to all."""
    if importlib.util.find_spec("streamlit") is None:
        pytest.skip("the extra `app` is not installed")
    if os.name == "nt":
        pytest.skip("Windows cannot ask one process to end")
    environment = os.environ | {"STREAMLIT_SERVER_ADDRESS": "0.0.0.0", "STREAMLIT_BROWSER_GATHER_USAGE_STATS": "true"}
    command = [sys.executable, "-m", "colorgan", "compare", "--app", "--models", ",".join(models), "--device", "cpu"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline() if process.stdout else ""
        found = re.fullmatch(r"App: (http://127\.0\.0\.1:\d+)\n", line)
        assert found, line + (process.stderr.read() if process.stderr else "")
        yield process, found[1]
    finally:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=30)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


def test_a_photo_is_dropped_shown_measured_and_saved(
    app: tuple[subprocess.Popen[str], str], browser: Browser, coloured: Callable[..., Image.Image], tmp_path: Path
) -> None:
    from selenium.webdriver.common.by import By

    def all_of(selector: str) -> Any:
        return browser.driver.find_elements(By.CSS_SELECTOR, selector)

    photo = tmp_path / ("photo.png" if os.name == "nt" else HOSTILE.replace("/", "|"))
    coloured(5).save(photo)
    browser.driver.execute_cdp_cmd(
        "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path / "saved")}
    )
    browser.open(app[1])
    until(lambda: all_of("input[type=file]"))[0].send_keys(str(photo))
    frame = until(lambda: all_of("iframe"))[0]
    until(lambda: all_of("[data-testid=stDataFrame]"))
    browser.driver.switch_to.frame(frame)
    rows = "return [...document.querySelectorAll('.layer')].map((layer) => layer.dataset.row)"
    assert until(lambda: browser.run(rows)) == ["grey", "first", "second", "original"]
    assert browser.run("return document.querySelector('.slider').classList.contains('ready')")
    assert browser.barriers() == []
    browser.driver.switch_to.default_content()
    buttons = until(lambda: all_of("[data-testid=stDownloadButton] button"))
    assert [button.text for button in buttons] == ["Save first", "Save second"]
    browser.run("arguments[0].click()", buttons[0])
    saved = until(lambda: list((tmp_path / "saved").glob("*.png")))[0]
    assert saved.name.endswith("-first.png")
    with Image.open(saved) as image:
        assert image.size == (56, 40)
    asked = browser.requests()
    assert {address.split("/")[2] for address in asked if address.startswith("http")} == {app[1].split("/")[2]}


def test_what_is_no_photo_and_what_is_too_large_gets_the_reason(
    app: tuple[subprocess.Popen[str], str], browser: Browser, tmp_path: Path
) -> None:
    from selenium.webdriver.common.by import By

    (tmp_path / "bad.png").write_bytes(b"nonsense")
    browser.open(app[1])
    chooser = until(lambda: browser.driver.find_elements(By.CSS_SELECTOR, "input[type=file]"))
    assert until(lambda: "25MB" in browser.run("return document.body.innerText").replace(" ", ""))
    chooser[0].send_keys(str(tmp_path / "bad.png"))
    text = until(lambda: "cannot be coloured" in (text := browser.run("return document.body.innerText")) and text)
    assert "Traceback" not in text
    assert "not a JPEG, PNG" in text
    with (tmp_path / "large.png").open("wb") as file:
        file.truncate(26 * 2**20)
    chooser = browser.driver.find_elements(By.CSS_SELECTOR, "input[type=file]")
    chooser[0].send_keys(str(tmp_path / "large.png"))
    assert until(lambda: "must be 25" in browser.run("return document.body.innerText"))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says in a file where a process listens")
def test_it_listens_on_this_machine_alone(app: tuple[subprocess.Popen[str], str]) -> None:
    port = int(app[1].rpartition(":")[2])
    tables = [Path(f"/proc/net/{name}").read_text() for name in ("tcp", "tcp6")]
    lines = [line.split() for table in tables for line in table.splitlines()[1:]]
    listening = [fields[1] for fields in lines if fields[3] == "0A" and fields[1].endswith(f":{port:04X}")]
    assert listening == [f"0100007F:{port:04X}"]  # 127.0.0.1
    with urllib.request.urlopen(f"{app[1]}/_stcore/health", timeout=10) as answer:
        assert answer.read() == b"ok"


@needs_streamlit
def test_it_is_drawn_before_a_photo_is_there(models: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    from streamlit.testing.v1 import AppTest

    monkeypatch.setenv("COLORGAN_APP", json.dumps({"models": models, "device": "cpu", "size": 32}))
    drawn = AppTest.from_file(str(Path(serving.__file__).with_name("app.py")), default_timeout=60).run()
    assert not drawn.exception
    assert drawn.sidebar.slider[0].value == 1.0
    assert "first 16, second 16" in drawn.sidebar.text[0].value
    drawn.sidebar.toggle[0].set_value(True).run()
    assert not drawn.exception
    assert [slider.label for slider in drawn.sidebar.slider] == ["Saturation", "Render size, pixels"]


def test_without_its_extra_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"colorgan\[app\]"):
        serving.check_app()


@needs_streamlit
def test_a_port_that_is_taken_is_an_error(app: tuple[subprocess.Popen[str], str]) -> None:
    with pytest.raises(ColorganError) as caught:
        serving.serve(serving.AppOptions(), int(app[1].rpartition(":")[2]), lambda address: None)
    assert isinstance(caught.value, OutputError)
    assert "--port" in caught.value.advice


def test_ctrl_c_ends_it_with_130_and_nothing_is_left(app: tuple[subprocess.Popen[str], str]) -> None:
    process, address = app
    process.send_signal(signal.SIGINT)
    _, words = process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGINT
    assert "Traceback" not in words
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(address, timeout=5)
