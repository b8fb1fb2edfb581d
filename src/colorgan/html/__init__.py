"""Render self-contained HTML pages: with the shared skeleton and styles, escaping, and a content security policy.

A page is a template that extends `page.html.j2`, in the package that writes it, with its styles and scripts beside it.
This package holds what several pages share: the skeleton, and the slider between two pictures.
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
    """Render a page.

    Its content security policy allows only its own styles and scripts, by their hashes, and pictures of
    `pictures_from`: even a name that slipped past the escaping could neither run nor load anything.

    Args:
        package: the package with the page's files; those missing there are taken from this package.
        parts: stems of these: first that of the template `.html.j2`, then of others; each may have a `.css` and a
            `.js`. Those of the first come last, so that they can override and use the others'.
        pictures_from: allowed origins of pictures, as in `img-src` of a content security policy.
        values: for the template; all but `Markup` are escaped.
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


def data_uri(jpeg: bytes) -> str:
    """Encode a JPEG as a data URI."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"


def _code(text: str) -> Markup:
    """Escape a text, and mark up what is in backticks as code."""
    return Markup(re.sub("`([^`]+)`", r"<code>\1</code>", escape(text)))


def _read(package: str, name: str) -> str | None:
    """Read a file of a package, or else of this one; None if neither has it."""
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
