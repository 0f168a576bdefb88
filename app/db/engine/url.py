"""The database URL as engines need it."""

from __future__ import annotations

from sqlalchemy.engine import URL, make_url

from app.errors import SettingsError
from app.settings import database_url_problem


def parse_database_url(text: str) -> URL:
    """Return the URL with its driver filled in (`postgresql://` means psycopg); `SettingsError` when unusable."""
    problem = database_url_problem(text)
    if problem is not None:
        raise SettingsError("settings", [problem])
    url = make_url(text)
    return url.set(drivername="postgresql+psycopg") if url.get_backend_name().startswith("postgres") else url


def is_embedded(url: URL) -> bool:
    """Return whether the database is a SQLite file of this node."""
    return url.get_backend_name() == "sqlite"
