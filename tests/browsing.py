"""A headless Chromium for tests of pages, which are skipped with the reason if it is not installed."""

import importlib.util
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_ARGUMENTS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")


class Browser:
    """Helpers around Selenium's driver.

    Attributes:
        driver: Selenium's.
    """

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, address: str, width: int = 1280, height: int = 900, scheme: str = "light") -> None:
        """Open a page in a window of this size, in pixels, with a light or dark color scheme."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
        self.driver.get(address)

    def run(self, script: str, *arguments: Any) -> Any:
        """Run a script in the page."""
        return self.driver.execute_script(script, *arguments)

    def requests(self) -> list[str]:
        """Return the addresses that were requested since the last call."""
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]

    def complaints(self) -> list[str]:
        """Return the messages of the browser's console since the last call."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def barriers(self) -> list[tuple[str, str]]:
        """Return the page's serious and critical axe-core violations: the rule, and the first element breaking it."""
        found = self.driver.execute_async_script(f"{_axe()}\naxe.run().then(arguments[arguments.length - 1]);")
        return [
            (violation["id"], violation["nodes"][0]["html"])
            for violation in found["violations"]
            if violation["impact"] in ("serious", "critical")
        ]


def _axe() -> str:
    """Return the source of axe-core from its Python package."""
    spec = importlib.util.find_spec("axe_core_python")
    if spec is None or spec.origin is None:
        pytest.skip("axe-core-python is not installed")
    return Path(spec.origin).with_name("axe.min.js").read_text("utf-8")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start a browser, and quit it at the end."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    binary = next(filter(None, map(shutil.which, _BROWSERS)), None)
    service = shutil.which("chromedriver")
    if binary is None or service is None:
        pytest.skip("there is no Chromium with its chromedriver here")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    for argument in _ARGUMENTS:
        options.add_argument(argument)
    driver = webdriver.Chrome(options, webdriver.ChromeService(service))
    try:
        yield Browser(driver)
    finally:
        driver.quit()
