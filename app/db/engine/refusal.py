"""Writes that the database refuses for good: a constraint, a trigger, a missing permission, a value it cannot hold."""

from __future__ import annotations

import re
from typing import Final

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, NotSupportedError, ProgrammingError

from app.errors import cause_of

REFUSALS: Final = (IntegrityError, DataError, ProgrammingError, NotSupportedError)
"""Errors of a database that works, and refuses what was written: to try again changes nothing."""

_WRITTEN: Final = re.compile(r"\b(?:INSERT INTO|UPDATE|DELETE FROM) +([a-z_]+)")


def refusal_text(error: DBAPIError) -> str:
    """Return, on one line and without values of rows, which tables were written, what refused it, and its code."""
    tables = ", ".join(dict.fromkeys(_WRITTEN.findall(f"{error.statement} {error.orig}")))
    text = cause_of(error)
    code = getattr(error.orig, "sqlstate", None) or getattr(error.orig, "sqlite_errorname", None)
    if code and code not in text:
        text = f"{text} ({code})"
    return f"{tables}: {text}" if tables else text


def words_of(error: DBAPIError) -> str:
    """Return the first line of what the database said, for the person whose own statement it refused.

    It may quote values that this person wrote, so it is not for logs.
    """
    said = getattr(getattr(error.orig, "diag", None), "message_primary", None)
    return said.splitlines()[0] if said else cause_of(error)
