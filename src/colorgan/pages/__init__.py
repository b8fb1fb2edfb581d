"""Pages of one file that load nothing: the skeleton and styles that they share, and what keeps foreign names inert.

A page is a template that extends `page.html.j2`, in the package of whoever writes it; styles and scripts lie beside it.
"""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

_SKELETON, _STYLE = "page.html.j2", "page.css"


def render(package: str, *parts: str, **values: Any) -> str:
    """Fill in a page.

    A browser lets in its own styles and scripts, known by their hashes, and pictures inside it. Nothing else: even a
    name that slipped past the escaping could neither run nor load anything.

    Args:
        package: where its files are.
        parts: their stems: first that of the template `.html.j2`, then of others; each may have a `.css` and a `.js`.
            The first's come last, and so may build on the others'.
        values: for the template; whatever is no `Markup` is escaped.
    """

    def load(name: str) -> str:
        return _read(__name__ if name == _SKELETON else package, name)

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, loader=FunctionLoader(load)
    )
    style = _read(__name__, _STYLE) + _joined(package, parts, ".css")
    script = _joined(package, parts, ".js")
    template = environment.get_template(f"{parts[0]}.html.j2")
    return template.render(style=Markup(style), script=Markup(script), policy=_policy(style, script), **values)


def embedded(jpeg: bytes) -> str:
    """A picture as an address that holds it."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"


def _read(package: str, name: str) -> str:
    return (files(package) / name).read_text("utf-8")


def _joined(package: str, parts: tuple[str, ...], suffix: str) -> str:
    names = [part + suffix for part in (*parts[1:], parts[0])]
    return "".join(_read(package, name) for name in names if (files(package) / name).is_file())


def _policy(style: str, script: str) -> Markup:
    allowed = f"style-src {_hash(style)}; script-src {_hash(script)}; img-src data:"
    return Markup(f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
