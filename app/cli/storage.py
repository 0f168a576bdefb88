"""`usher storage`: what the database takes, and what retention costs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from rich.console import RenderableType
from rich.text import Text

from app.audit import Retention, Storage, TableCost, TableSize, read_storage
from app.cli.framework.database import reading
from app.cli.framework.options import JsonOption
from app.cli.framework.terminal import plain, say_json, show, table
from app.settings import read_settings

_SMALL: Final = 0.01
_LEAST: Final = 50_000
"""Share of all bytes, and bytes, below which a table is not shown by itself; `--json` has all."""
_UNITS: Final = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def storage(*, as_json: JsonOption = False) -> None:
    """Show how much each table and index takes, for one call, for one day, and for the retention that is set.

    On SQLite this reads the whole file; on PostgreSQL numbers of rows are estimates, of calls too once there are many.
    """
    settings = read_settings(without_livekit=True)
    if settings.projects_file is not None:
        settings = read_settings()  # projects may have a retention of their own
    own = {one.name: one.retention_days for one in settings.projects if one.retention_days is not None}
    with reading(settings) as connection:
        found = read_storage(connection, Retention(settings.retention_days, settings.retention_bodies_days, own))
    if as_json:
        say_json(found.to_json())
    else:
        show(*_view(found))


def _view(found: Storage) -> Iterator[RenderableType]:
    free = f", {_bytes(found.free_bytes)} of it free for what comes" if found.free_bytes is not None else ""
    yield plain(f"{_bytes(found.total_bytes)} in {found.database}{free}", "bold")
    if found.log_bytes:
        yield plain(
            f"{_bytes(found.log_bytes)} more in its write-ahead log, which is used again and not kept in backups"
        )
    yield ""
    if found.tables is None:
        yield Text("This SQLite was built without DBSTAT, so it cannot say what each table takes.", "yellow")
    else:
        yield _tables(found.tables, max(_LEAST, found.total_bytes * _SMALL))
    yield ""
    if found.costs:
        yield _costs_by_table(found.costs)
    yield from _costs(found)


def _tables(tables: tuple[TableSize, ...], least: float) -> RenderableType:
    shown = [one for one in tables if one.total_bytes >= least]
    small = tables[len(shown) :]
    rows = table("table or index", "bytes", "with indexes", "rows", "dead", narrow=("bytes", "with indexes", "rows"))
    for one in shown:
        dead = "" if one.dead_rows is None else str(one.dead_rows)
        count = "" if one.rows is None else str(one.rows)
        rows.add_row(plain(one.name, "bold"), _bytes(one.bytes), _bytes(one.total_bytes), count, dead)
        for index in one.indexes:
            if index.bytes >= least / 2:
                rows.add_row(plain(f"  {index.name}", "dim"), plain(_bytes(index.bytes), "dim"), "", "", "")
    if small:
        others = sum(one.total_bytes for one in small)
        rows.add_row(plain(f"{len(small)} smaller tables", "dim"), "", _bytes(others), "", "")
    return rows


def _costs_by_table(costs: tuple[TableCost, ...]) -> RenderableType:
    rows = table("of calls, with indexes", "one call", "one day", "retention", narrow=("one call", "one day"))
    for one in costs:
        amounts = (one.bytes_per_call, one.bytes_per_day, one.retained_bytes)
        rows.add_row(plain(one.name, "bold"), *("" if amount is None else _bytes(amount) for amount in amounts))
    return rows


def _costs(found: Storage) -> Iterator[RenderableType]:
    if found.bytes_per_call is None:
        yield plain("No calls are stored that a cost could be computed of.")
        return
    bodies = f", of which {_bytes(found.body_bytes_per_call or 0)} are bodies of webhooks"
    yield plain(f"One call: {_bytes(found.bytes_per_call)} ({found.calls} calls stored){bodies}")
    if found.bytes_per_day is None or found.calls_per_day is None:
        yield plain("One day: calls are stored for less than ten minutes.")
        return
    yield plain(f"One day: {_bytes(found.bytes_per_day)} ({found.calls_per_day:.0f} calls)")
    own = [f"{name} {_kept_for(days)}" for name, days in found.retention_days_of_projects.items()]
    kept = ", ".join([_kept_for(found.retention_days), *own])
    if found.retained_bytes is None:
        yield plain(f"Retention: {kept} (USHER_RETENTION_DAYS), so that the database grows without end.")
        return
    of_bodies = f", bodies {_kept_for(found.retention_bodies_days)}" if found.retention_bodies_days > 0 else ""
    yield plain(f"Retention ({kept}{of_bodies}): {_bytes(found.retained_bytes)}", "bold")


def _kept_for(days: float) -> str:
    return f"{days:g} day{'' if days == 1 else 's'}" if days > 0 else "forever"


def _bytes(count: float) -> str:
    for size, unit in _UNITS:
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count:.0f} B"
