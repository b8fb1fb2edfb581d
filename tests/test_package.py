"""What the package says of itself, held against what is in it."""

import importlib.util
from pathlib import Path

import pytest
from safetensors import safe_open

from colorgan import __version__

CHECKOUT = Path(__file__).parents[1]
ASSETS = CHECKOUT / "src" / "colorgan" / "assets"
NOTICES = (CHECKOUT / "THIRD_PARTY_NOTICES.md").read_text(encoding="utf-8")
PROJECT = (CHECKOUT / "pyproject.toml").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def check_wheel():
    spec = importlib.util.spec_from_file_location("check_wheel", CHECKOUT / "scripts" / "check_wheel.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("asset", sorted(path.name for path in ASSETS.iterdir()))
def test_the_notices_name_everything_that_is_no_code(asset):
    assert f"`colorgan/assets/{asset}`" in NOTICES


@pytest.mark.parametrize("weights", sorted(ASSETS.glob("*.safetensors")), ids=lambda path: path.stem)
def test_weights_that_are_not_free_are_part_of_the_package_licence(weights):
    with safe_open(weights, "pt") as file:
        licence = file.metadata()["licence"]
    assert licence
    if licence != "MIT":
        assert 'license = "MIT AND LicenseRef-colorgan-weights"' in PROJECT
        assert "LicenseRef-colorgan-weights" in NOTICES


def test_the_pythons_of_the_metadata_are_those_that_are_tested():
    workflow = (CHECKOUT / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8")
    (line,) = [line for line in workflow.splitlines() if line.strip().startswith("python: [")]
    tested = [version.strip('" ') for version in line.partition("[")[2].rstrip("]").split(",")]
    claimed = [line.split(":: ")[-1].rstrip('",') for line in PROJECT.splitlines() if "Python :: 3." in line]
    assert tested == claimed
    assert f'requires-python = ">={tested[0]}"' in PROJECT


def test_no_workflow_needs_a_secret():
    for workflow in (CHECKOUT / ".github" / "workflows").iterdir():
        assert "secrets." not in workflow.read_text(encoding="utf-8")


def test_the_changelog_knows_this_version_or_an_unreleased_one():
    changelog = (CHECKOUT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert "## [Unreleased]" in changelog or f"## [{__version__}]" in changelog


def test_the_wheel_check_finds_what_does_not_belong_there(check_wheel):
    good = ["colorgan/cli/app.py", "colorgan/py.typed", "colorgan-1.dist-info/RECORD", "colorgan/html/page.html.j2"]
    bad = ["colorgan/notes.txt", "colorgan/assets/photo.jpg", "tests/test_app.py", "colorgan-1.dist-info/x.json"]
    assert list(check_wheel.foreign_names(good + bad)) == bad
