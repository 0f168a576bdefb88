"""Pages from templates: values are escaped, and no page may load anything from another host."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from app.server.documentation.links import CALL_HELP, CONSOLE_HELP, ERROR_HELP, docs_url
from app.server.formatting import FILTERS

HERE: Final = Path(__file__).parent
# Files that change get another address, so browsers may cache them forever.
STATIC_VERSION: Final = hashlib.sha256(
    b"".join(path.read_bytes() for path in sorted((HERE / "static").iterdir()) if path.is_file())
).hexdigest()[:12]

environment: Final = Environment(
    loader=FileSystemLoader(HERE / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)
environment.filters.update(FILTERS)
environment.globals.update(docs_url=docs_url, console_help=CONSOLE_HELP, error_help=ERROR_HELP, call_help=CALL_HELP)

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


@lru_cache(maxsize=64)
def anonymous_problem_page(message: str, status: int) -> str:
    """Return the page of a problem for a browser without a user; rendered once, for anybody can ask for it."""
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
    )
