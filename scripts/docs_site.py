"""Generated reference pages, and MkDocs hooks for these and for pages outside `docs/`.

`python scripts/docs_site.py` writes the references of commands and options; the pages are committed, for readers
without the site, and a test fails if they are stale. mkdocs.yml uses the rest.
"""

from __future__ import annotations

import ast
import html
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

import colorgan
from colorgan.cli.app import app
from colorgan.options import options_of

CHECKOUT = Path(__file__).parents[1]
# Pages that must be at the top of the repository, and their paths in the site.
BESIDE_DOCS = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "THIRD_PARTY_NOTICES.md": "notices.md",
}
# Macros of mkdocstrings and snippets, in comments that are invisible to readers without the site.
_HIDDEN_MACRO = re.compile(r"^<!-- ((?::::|--8<-- \").*) -->$", re.M)
# Around the list of modules in docs/architecture.md.
_MODULES = re.compile(r"(<!-- modules -->).*(<!-- /modules -->)", re.S)
_NOT_RUN = "<!-- not run in the tests: a test of its own runs the example that ends the help -->"
# Elements that a reader's browser would load from another server.
_LOADS = re.compile(
    r"""<(?:script|img|iframe)\b[^>]*\bsrc=["']?(?:https?:)?//|<link\b[^>]*\bhref=["']?(?:https?:)?//"""
)


def on_files(files: Any, config: Any) -> Any:
    """Add the pages outside `docs/`."""
    from mkdocs.structure.files import File

    for source, name in BESIDE_DOCS.items():
        text = (CHECKOUT / source).read_text(encoding="utf-8").replace("](docs/", "](")
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Rewrite links to pages outside `docs/` for the site, and uncomment macros."""
    return site_links(_HIDDEN_MACRO.sub(r"\1", markdown), page.file.src_uri)


def on_post_page(output: str, page: Any, **_: Any) -> str:
    """Raise PluginError for a page that would load something from a network."""
    from mkdocs.exceptions import PluginError

    if found := _LOADS.search(output):
        raise PluginError(f"{page.file.src_uri} loads something from a network: {found[0]}")
    return output


def reference_pages() -> Iterator[tuple[Path, str]]:
    """Yield the path and text of each generated reference page."""
    for name in _group().commands:
        yield CHECKOUT / "docs" / "reference" / f"{name}.md", command_page(name)
    yield CHECKOUT / "docs" / "reference" / "options.md", options_page()
    architecture = CHECKOUT / "docs" / "architecture.md"
    text = architecture.read_text(encoding="utf-8")
    yield architecture, _MODULES.sub(lambda marks: f"{marks[1]}\n```\n{modules()}```\n{marks[2]}", text)


def _group() -> Any:
    return typer.main.get_command(app)


def command_page(name: str) -> str:
    """Return the reference of a command: its help, an example, its arguments, and its options by panel."""
    group = _group()
    command = group.commands[name]
    context = type(group.make_context("colorgan", [], resilient_parsing=True))(command, info_name=name)
    example = command.epilog.removeprefix("Example: ")
    parts = [f"# colorgan {name}", command.help, f"{_NOT_RUN}\n```sh\n{example}\n```"]
    if arguments := [(p.metavar or p.name, p.help) for p in command.params if _is_argument(p)]:
        parts += ["## Arguments", _table(arguments)]
    panels: dict[str, list[tuple[str, str]]] = {}
    for option in (p for p in command.params if not _is_argument(p) and not p.hidden):
        panels.setdefault(option.rich_help_panel or "Options", []).append(option.get_help_record(context))
    for panel, rows in panels.items():
        parts += [f"## {panel}", _table(rows)]
    return "\n\n".join(parts) + "\n"


def options_page() -> str:
    """Return the reference of the options classes."""
    parts = [
        "# Options in Python",
        "Each class is a frozen dataclass; an invalid value raises `ValueError`.",
    ]
    for kind in (getattr(colorgan, name) for name in colorgan.__all__ if name.endswith("Options")):
        what = kind.__doc__.partition("\n")[0]
        rows = [
            (
                f"{name}={each.default!r}",
                f"{each.help} Default: {each.option.unset}." if each.option.unset else each.help,
            )
            for name, each in options_of(kind).items()
        ]
        parts += [f"## {kind.__name__}", what, _table(rows)]
    return "\n\n".join(parts) + "\n"


def modules() -> str:
    """List the package's modules, a line each by the first line of its docstring, folder by folder."""
    package = CHECKOUT / "src" / "colorgan"
    lines = []
    for folder in sorted({path.parent for path in package.rglob("*.py")}):
        indent = "  " * len(folder.relative_to(package).parts)
        for path in sorted(folder.glob("*.py"), key=lambda path: (path.name != "__init__.py", path.name)):
            name = f"{indent[2:]}{folder.name}/" if path.name == "__init__.py" else f"{indent}{path.name}"
            what = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n")[0]
            lines.append(f"{name:24}{what}\n")
    return "".join(lines)


def _is_argument(parameter: Any) -> bool:
    return bool(parameter.param_type_name == "argument")


def _table(rows: list[tuple[str, str]]) -> str:
    lines = [f"| `{left}` | {html.escape(right, quote=False).replace('|', '&#124;')} |" for left, right in rows]
    return "\n".join(["| | what |", "|---|---|", *lines])


def site_links(markdown: str, place: str) -> str:
    """Rewrite a page's links to files at the top of the repository.

    Args:
        markdown: the page.
        place: its path in the site.
    """
    up = posixpath.relpath(".", posixpath.dirname(place) or ".")
    for source, name in BESIDE_DOCS.items():
        target = posixpath.normpath(posixpath.join(up, name))
        markdown = re.sub(rf"\]\((?:\.\./)*{re.escape(source)}(#[^)]*)?\)", rf"]({target}\1)", markdown)
    return markdown


if __name__ == "__main__":
    for path, text in reference_pages():
        path.write_text(text, encoding="utf-8", newline="\n")
