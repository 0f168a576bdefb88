"""Pages from templates: values are escaped, and no page may load anything from another host."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from app.server.console.navigation import may_open
from app.server.documentation.links import CALL_HELP, CONSOLE_HELP, ERROR_HELP, docs_url
from app.server.formatting import FILTERS
from app.translation import Language, current_language

HERE: Final = Path(__file__).parent
# Files that change get another address, so browsers may cache them forever.
STATIC_VERSION: Final = hashlib.sha256(
    b"".join(path.read_bytes() for path in sorted((HERE / "static").iterdir()) if path.is_file())
).hexdigest()[:12]


def _gettext(text: str) -> str:
    return current_language().texts.gettext(text)


def _ngettext(singular: str, plural: str, number: int) -> str:
    return current_language().texts.ngettext(singular, plural, number)


def _pgettext(context: str, text: str) -> str:
    return current_language().texts.pgettext(context, text)


environment: Final = Environment(
    loader=FileSystemLoader(HERE / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
    extensions=["jinja2.ext.i18n"],
)
environment.install_gettext_callables(_gettext, _ngettext, pgettext=_pgettext, newstyle=True)  # type: ignore[attr-defined]
environment.filters.update(FILTERS)
environment.globals.update(
    language=current_language,
    docs_url=docs_url,
    may_open=may_open,
    console_help=CONSOLE_HELP,
    error_help=ERROR_HELP,
    call_help=CALL_HELP,
)

SECURITY_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


def render(template: str, **values: Any) -> str:
    """Return the HTML that `template` makes of `values`."""
    return environment.get_template(template).render(**values)


def anonymous_problem_page(message: str, status: int) -> str:
    """Return the page of a problem for a browser without a user; rendered once, for anybody can ask for it."""
    return _anonymous_problem_page(message, status, current_language())


@lru_cache(maxsize=64)
def _anonymous_problem_page(message: str, status: int, _language: Language) -> str:
    return render(
        "problem.html",
        user=None,
        navigation=[],
        active="",
        static=f"/console/static/{STATIC_VERSION}",
        notice=None,
        message=message,
        problems=[],
        status_code=status,
        listed=None,
    )
