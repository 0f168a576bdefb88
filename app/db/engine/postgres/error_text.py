"""What may be logged of an error of PostgreSQL: rows hold data of callers, and some messages quote them.

`RAISE` in a trigger says what its author wrote, a function in an index may quote its argument, and a value that cannot
be converted stands in the message. The names of what refused the row stand in fields of their own.
"""

from __future__ import annotations

import re
from typing import Any, Final

import psycopg

_SAFE_CLASSES: Final = frozenset({"08", "0A", "23", "25", "28", "3D", "40", "42", "53", "55", "57", "58"})
"""Classes of SQLSTATE whose messages name objects, limits and files but no values, if the server itself raises them."""
_FUNCTION: Final = re.compile(r"^PL/pgSQL function (.+?) line [0-9]+ at ", re.MULTILINE)


def loggable_text(error: psycopg.Error) -> str:
    """Return the message of `error` where it quotes no values, else the error's name with the objects that it concerns.

    What psycopg itself raises has no SQLSTATE, and is returned as it is.
    """
    diag = error.diag
    if diag.sqlstate is None:
        return str(error)
    ends_session = diag.severity_nonlocalized in {"FATAL", "PANIC"}
    if ends_session or (diag.context is None and diag.sqlstate[:2] in _SAFE_CLASSES):
        return diag.message_primary or type(error).__name__
    function = _FUNCTION.search(diag.context or "")
    named: dict[str, Any] = {
        "table": diag.table_name,
        "column": diag.column_name,
        "constraint": diag.constraint_name,
        "function": function and function[1],
    }
    where = ", ".join(f"{kind} {name}" for kind, name in named.items() if name)
    return ": ".join(filter(None, (f"{type(error).__name__} (SQLSTATE {diag.sqlstate})", where)))
