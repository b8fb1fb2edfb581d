"""What the README and the page on installing have to say to somebody on a machine of their own."""

import re
from pathlib import Path

import pytest
from pages import CHECKOUT, NAMES, blocks_of

INSTALL = " ".join((CHECKOUT / "docs/install.md").read_text(encoding="utf-8").split())


def test_two_commands_of_the_readme_of_a_line_each_are_those_that_ci_gives():
    shells = [block.text for block in blocks_of(CHECKOUT / "README.md") if block.language == "sh"]
    sets_up, tests = shells[:2]
    for line, end in ((sets_up, "colorgan colorize docs/examples -o out"), (tests, "python -m pytest -n auto")):
        assert line.count("\n") == 1
        assert line.strip().endswith(end)
    ci = (CHECKOUT / ".ci/run").read_text(encoding="utf-8")
    assert re.findall(r'bash -euxc "\$\(readme_block (\d)\)"', ci) == ["1", "2", "2"]


@pytest.mark.parametrize(
    "said",
    [
        "uv tool install .",
        "pipx install .",
        "https://download.pytorch.org/whl/cpu",
        "--torch-backend auto",
        "Macs with an Intel chip",
        r".venv\Scripts\colorgan colorize docs\examples -o out",
        "What has been tried",
        "macOS and Windows is by the documentation",
    ],
)
def test_the_page_on_installing_has_an_answer_for_each_machine_and_says_what_is_untried(said):
    assert said in INSTALL


def test_extras_are_installed_in_one_way_wherever_it_is_said():
    places = [CHECKOUT / name for name in NAMES] + sorted((CHECKOUT / "src").rglob("*.py"))
    said = [(place, found) for place in places for found in _installed(place)]
    assert {f"colorgan[{extra}]" for extra in ("heif", "tiff", "app", "cloud")} <= {found for _, found in said}
    assert [(place.name, found) for place, found in said if not found.startswith("colorgan[")] == []


def _installed(place: Path) -> list[str]:
    """What is installed with extras by lines for pip."""
    return re.findall(r"""pip install ["']([^"']*\[[^"']*)["']""", place.read_text(encoding="utf-8"))
