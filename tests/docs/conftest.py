"""A working folder with the photos that the documentation's commands use."""

import pytest
from pages import furnish


@pytest.fixture
def reader(tmp_path, monkeypatch):
    furnish(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLORGAN_CACHE", str(tmp_path / ".cache"))
    monkeypatch.setenv("COLORGAN_OFFLINE", "1")
    return tmp_path
