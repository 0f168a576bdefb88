"""The database URL: whether it is usable, and how it is shown without its password."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote_plus

from app.errors import Problem

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

_DRIVERS: Final = frozenset({"sqlite", "sqlite+pysqlite", "postgres", "postgresql", "postgresql+psycopg"})
_HIDDEN: Final = "***"
_SHOWN_PARAMETERS: Final = frozenset(
    {"application_name", "connect_timeout", "host", "options", "port", "sslmode", "target_session_attrs", "user"}
)
"""The values of all others are hidden: libpq takes passwords from the query, too, and a name may be misspelt."""


def database_url_problem(text: str) -> Problem | None:
    """Return what is wrong with a database URL, without repeating it: it may hold a password."""
    message = _wrong(text)
    return None if message is None else Problem("DATABASE_URL", message)


def shown_database_url(url: URL) -> str:
    """Return the URL for messages and logs: passwords are ***, wherever they stand."""
    if url.drivername.startswith("sqlite"):
        return f"{url.drivername}:///{url.database}"
    hidden = {name: _HIDDEN for name in url.query if name not in _SHOWN_PARAMETERS}
    shown = url.update_query_dict(hidden).render_as_string(hide_password=True)
    return shown.replace(quote_plus(_HIDDEN), _HIDDEN)


def _wrong(text: str) -> str | None:
    # Imported where it is needed: commands that use no database do not wait for it.
    from sqlalchemy.engine import make_url  # noqa: PLC0415
    from sqlalchemy.exc import ArgumentError  # noqa: PLC0415

    try:
        url = make_url(text)
    except ArgumentError:
        return "is not a database URL; use sqlite:///usher.db or postgresql+psycopg://…"
    except ValueError:
        return (
            "has a port that is no number, such as a variable that nothing has filled in; write "
            "postgresql://user:password@host:5432/name, and / ? # @ in the password as %2F %3F %23 %40"
        )
    if url.drivername not in _DRIVERS:
        return f"names the driver {url.drivername!r}; Usher speaks sqlite and postgresql+psycopg"
    if url.drivername.startswith("sqlite"):
        return _wrong_file(url.database or "")
    if "@" in (url.host or ""):
        return "has more than one @; write an @ in the user name or password as %40"
    return None


def _wrong_file(path: str) -> str | None:
    if path in {"", ":memory:"}:
        return "names no file; dispatches must outlive the process, so use sqlite:///usher.db"
    if path.startswith("file:"):
        return "names its file as a URI; use its path: sqlite:///usher.db"
    return None
