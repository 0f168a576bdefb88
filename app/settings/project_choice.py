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
    if not configured:
        return Problem(field, translatable("cannot be chosen: none of your LiveKit projects is configured here"), given)
    names = ", ".join(configured)
    if given is None:
        return Problem(field, translatable("is required, one of the configured projects: %(names)s", names=names))
    message = translatable("must be one of the configured projects: %(names)s", names=names)
    return Problem(field, message, given, nearest(given, configured))
