"""What the site's hooks make of the program and of the pages beside `docs/`."""

import importlib.util
import re

import pytest
import typer.main
from pages import CHECKOUT, NAMES

from colorgan.cli.app import app

GROUP = typer.main.get_command(app)


@pytest.fixture(scope="module")
def docs_site():
    spec = importlib.util.spec_from_file_location("docs_site", CHECKOUT / "scripts" / "docs_site.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_committed_references_are_those_of_the_commands(docs_site):
    stale = [path.name for path, text in docs_site.reference_pages() if path.read_text(encoding="utf-8") != text]
    assert not stale, "python scripts/docs_site.py writes them anew"


@pytest.mark.parametrize("name", NAMES)
def test_a_page_read_without_the_site_has_no_dead_link_and_no_raw_macro(name):
    text = (CHECKOUT / name).read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text) if not re.match(r"\w+:", link)]
    assert [link for link in links if not ((CHECKOUT / name).parent / link).exists()] == []
    assert re.findall(r"^(?::::|--8<--|!!!|\?\?\?).*", text, re.M) == []


@pytest.mark.parametrize("name", sorted(GROUP.commands))
def test_the_reference_of_a_command_has_all_its_options(docs_site, name):
    page = docs_site.command_page(name)
    for parameter in GROUP.commands[name].params:
        shown = parameter.opts[-1] if parameter.param_type_name == "option" else parameter.metavar
        assert f"{shown}" in page
    assert f"\ncolorgan {name} " in page


def test_links_to_the_top_of_the_repository_become_links_of_the_site(docs_site):
    assert docs_site.site_links("[c](../CHANGELOG.md#x)", "limits.md") == "[c](changelog.md#x)"
    assert docs_site.site_links("[s](../../SECURITY.md)", "tutorials/color.md") == "[s](../security.md)"
    assert docs_site.site_links("[o](other.md)", "limits.md") == "[o](other.md)"


def test_every_page_is_in_the_navigation(docs_site):
    navigation = (CHECKOUT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = [page.relative_to(CHECKOUT / "docs").as_posix() for page in (CHECKOUT / "docs").rglob("*.md")]
    missing = [name for name in [*pages, *docs_site.BESIDE_DOCS.values()] if name not in navigation]
    assert missing == ["examples/README.md"]


def test_the_pages_load_nothing_from_a_network(docs_site):
    assert docs_site._LOADS.search('<script src="https://x.org/a.js">')
    assert docs_site._LOADS.search('<link rel="stylesheet" href="//fonts.org/a.css">')
    assert not docs_site._LOADS.search('<a href="https://x.org/">')
    assert not docs_site._LOADS.search('<script src="assets/a.js">')
