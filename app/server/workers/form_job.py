"""Decodes forms; those that are long in a worker, because it takes a microsecond for each escaped character."""

from __future__ import annotations

from urllib.parse import parse_qs

from app.errors import BadRequestError
from app.server.workers.rule_worker import WorkerState
from app.translation import translatable


def read_form(raw: bytes) -> dict[str, list[str]]:
    """Return the fields of a form; BadRequestError if it is none."""
    try:
        return parse_qs(raw.decode("ascii"), keep_blank_values=True, max_num_fields=500, errors="strict")
    except ValueError as error:
        raise BadRequestError(translatable("the form cannot be decoded")) from error


def parse_form(_state: WorkerState, raw: bytes) -> dict[str, list[str]]:
    """Return the fields of a form; BadRequestError if it is none."""
    return read_form(raw)
