"""The pages of a review as HTML. Text can come from data rows, so the template escapes all of it."""

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, Template
from markupsafe import Markup

from preflight.report.html import visible
from preflight.review.view import Shown


def _halves(shown: Sequence[Shown]) -> tuple[Sequence[Shown], Sequence[Shown]]:
    """What the template puts before a message, and the rest of its turn."""
    first = next((place for place, piece in enumerate(shown) if piece.part != "frame"), len(shown))
    return shown[:first], shown[first:]


def _finish(value: Any) -> Any:
    """Prepare one template expression for escaping (markup made by the template's own macros passes)."""
    return value if isinstance(value, Markup) else visible("" if value is None else str(value))


@cache
def _template() -> Template:
    environment = Environment(autoescape=True, finalize=_finish, trim_blocks=True, lstrip_blocks=True)
    environment.globals |= {"halves": _halves}
    return environment.from_string(files(__package__).joinpath("page.html.jinja").read_text("utf-8"))


def render(**values: Any) -> str:
    """One page; without a `place` it is the summary, or with `closed` the last one."""
    return _template().render(**{"place": None, "closed": False, **values})


@cache
def policy() -> str:
    """The Content-Security-Policy that lets the page's own style and script run and nothing else."""
    module: Any = _template().module
    style, script = (
        base64.b64encode(hashlib.sha256(str(text).encode()).digest()).decode() for text in (module.css, module.js)
    )
    return (
        f"default-src 'none'; style-src 'sha256-{style}'; script-src 'sha256-{script}'; img-src data:; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
