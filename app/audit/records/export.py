"""Events and dispatches as CSV (one row each, RFC 4180) or as JSON lines (one whole object each)."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Any, TypeVar

from app.audit.records.record_types import EventDetail, EventSummary, columns_of, dispatch_json
from app.outbox.dispatch import Dispatch

T = TypeVar("T")

_PHONE_NUMBER = re.compile(r"[+-]?[\d .()-]+")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class ExportFormat(StrEnum):
    """The format of an export."""

    CSV = "csv"
    JSONL = "jsonl"


CONTENT_TYPES = {
    ExportFormat.CSV: "text/csv; charset=utf-8",
    ExportFormat.JSONL: "application/jsonl; charset=utf-8",
}


def export_events(found: Iterable[EventDetail], format_: ExportFormat) -> Iterator[str]:
    """Yield the lines of an export of events; CSV leaves out the documents (body, decision)."""
    return export_records(found, EventDetail.to_json, columns_of(EventSummary), format_)


def export_dispatches(found: Iterable[Dispatch], format_: ExportFormat) -> Iterator[str]:
    """Yield the lines of an export of dispatches, each with all its columns."""
    return export_records(found, dispatch_json, columns_of(Dispatch), format_)


def export_records(
    found: Iterable[T],
    as_object: Callable[[T], Mapping[str, Any]],
    columns: tuple[str, ...],
    format_: ExportFormat,
    *,
    with_header: bool = True,
) -> Iterator[str]:
    """Yield the lines of an export; CSV has `columns` of the objects, JSON lines the whole objects."""
    if format_ is ExportFormat.JSONL:
        for one in found:
            yield json.dumps(as_object(one), ensure_ascii=False, separators=(",", ":")) + "\n"
        return
    if with_header:
        yield _csv_line(columns)
    for one in found:
        values = as_object(one)
        yield _csv_line([_cell(values[name]) for name in columns])


def _csv_line(cells: Iterable[str]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer).writerow(cells)
    return buffer.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    # Callers choose their names: a spreadsheet must not take one for a formula. Phone numbers are left as they are.
    if text.startswith(_FORMULA) and not _PHONE_NUMBER.fullmatch(text):
        return f"'{text}"
    return text
