"""Redrive, cancel and replay over the API: the server carries them out, as the user of the token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from app.cli.calls.interventions import Result
from app.cli.framework.terminal import progress
from app.cli.remote.server import Server, path_of
from app.errors import ConflictError

_BATCH: Final = 100


def redrive_over_api(server: Server, ids: Sequence[str], *, dry_run: bool) -> Result:
    """Redrive dispatches; NotFoundError for an id that is none, whose batch is left alone."""
    return _in_batches(server, "redrive", "would be redriven", ids, dry_run=dry_run)


def cancel_over_api(server: Server, ids: Sequence[str], *, dry_run: bool) -> Result:
    """Cancel dispatches; NotFoundError for an id that is none, whose batch is left alone."""
    return _in_batches(server, "cancel", "would be cancelled", ids, dry_run=dry_run)


def replay_over_api(server: Server, ids: Sequence[str], *, dry_run: bool) -> Result:
    """Replay events; NotFoundError for an id that is none, after those before it."""
    result = Result(dry_run=dry_run)
    with progress("replaying", len(ids)) as report:
        for count, event_id in enumerate(ids, start=1):
            _replay(server, event_id, result)
            report(count)
    return result


def _replay(server: Server, event_id: str, result: Result) -> None:
    try:
        answer = server.send(
            "POST", path_of("events", event_id, "replay"), parameters={"dry_run": True} if result.dry_run else None
        )
    except ConflictError as error:
        result.refused[event_id] = str(error)
    else:
        became = (answer["outcome"] or answer["status"]).replace("_", " ")
        result.done[event_id] = became if result.dry_run else f"{became} as event {answer['event_id']}"


def _in_batches(server: Server, operation: str, would: str, ids: Sequence[str], *, dry_run: bool) -> Result:
    result = Result(dry_run=dry_run)
    with progress(operation, len(ids)) as report:
        for start in range(0, len(ids), _BATCH):
            batch = ids[start : start + _BATCH]
            answer = server.send("POST", f"/dispatches/{operation}", {"ids": batch, "dry_run": dry_run})
            made, left_over = answer.get("made", {}), answer.get("left_over", {})
            result.add(answer["done"], made, answer["refused"], left_over, would)
            report(start + len(batch))
    return result
