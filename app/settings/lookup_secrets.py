"""Environment variables that headers of lookups may name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from app.settings.cleaning import unquoted
from app.translation import translatable

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_OWN: Final = ("LIVEKIT_", "USHER_", "DATABASE_", "PG")
"""What the names of Usher's own secrets begin with: a lookup, which may name any address, must not send them there."""


def variable_problem(name: str) -> str:
    """Return why a lookup's header cannot take its value from the variable `name`; empty if it can."""
    if not _NAME.fullmatch(name):
        return translatable("must be env: and the name of an environment variable")
    if name.upper().startswith(_OWN):
        return translatable(
            "is a variable of Usher's own, whose names begin with %(names)s; put the secret into another",
            names=", ".join(_OWN),
        )
    return ""


def variable(environment: Mapping[str, str], name: str) -> str:
    """Return the value of a variable without the white space and quotes around it; empty if it is not set."""
    return unquoted(environment.get(name, ""))
