"""Pages of one file that load nothing: the skeleton and styles that they share, and what keeps foreign names inert.

A page is a template that extends `page.html.j2`, in the package of whoever writes it; styles and scripts lie beside it.
What several pages share lies here: the skeleton, and the slider between two pictures.
"""

from __future__ import annotations

import base64
import hashlib
import re
from functools import partial
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup, escape


def render(package: str, *parts: str, pictures_from: str = "data:", **values: Any) -> str:
    """Fill in a page.

    A browser lets in its own styles and scripts, known by their hashes, and pictures inside it, or beside it. Nothing
    else: even a name that slipped past the escaping could neither run nor load anything.

    Args:
        package: where its files are; what is not there is looked for here.
        parts: their stems: first that of the template `.html.j2`, then of others; each may have a `.css` and a `.js`.
            The first's come last, and so may build on the others'.
        pictures_from: where pictures may come from, as a content security policy has it.
        values: for the template; whatever is no `Markup` is escaped.
    """
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=FunctionLoader(partial(_read, package)),
    )
    environment.filters["code"] = _code
    style, script = _joined(package, parts, ".css"), _joined(package, parts, ".js")
    template = environment.get_template(f"{parts[0]}.html.j2")
    return template.render(
        style=Markup(style), script=Markup(script), policy=_policy(style, script, pictures_from), **values
    )


def embedded(jpeg: bytes) -> str:
    """A picture as an address that holds it."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"


def _code(text: str) -> Markup:
    """A text in which what stands in backticks is set as code."""
    return Markup(re.sub("`([^`]+)`", r"<code>\1</code>", escape(text)))


def _read(package: str, name: str) -> str | None:
    """A file of a package, or else of this one; None where neither has it."""
    for folder in (files(package), files(__name__)):
        if (folder / name).is_file():
            return (folder / name).read_text("utf-8")
    return None


def _joined(package: str, parts: tuple[str, ...], suffix: str) -> str:
    return "".join(_read(package, stem + suffix) or "" for stem in ("page", *parts[1:], parts[0]))


def _policy(style: str, script: str, pictures_from: str) -> Markup:
    allowed = f"style-src {_hash(style)}; script-src {_hash(script)}; img-src {pictures_from}"
    return Markup(f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
