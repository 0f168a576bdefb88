"""Which LiveKit project is meant where an order may leave it out."""

from __future__ import annotations

from collections.abc import Sequence

from app.errors import Problem, nearest
from app.translation import translatable


def chosen_project(given: str | None, configured: Sequence[str], *, field: str = "project") -> str | Problem:
    """Return the project that is meant, without a name the only one; else what is wrong with `field`."""
    if given is None and len(configured) == 1:
        return configured[0]
    if given is not None and given in configured:
        return given
    message = translatable("must be one of the configured projects: %(names)s", names=", ".join(configured))
    return Problem(field, message, given, None if given is None else nearest(given, configured))
