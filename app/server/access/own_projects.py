"""What users who are restricted to LiveKit projects may name in a request."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from app.errors import NotFoundError
from app.server.request_context import RequestContext


async def require_own(
    context: RequestContext,
    projects: Collection[str] | None,
    unknown: Callable[..., list[str]],
    ids: Sequence[str],
    what: str,
) -> None:
    """Raise NotFoundError for ids of other projects than these (None: all); whether others exist is not asked."""
    if projects is None:
        return
    missing = await context.read(lambda connection: unknown(connection, ids, projects))
    if missing:
        raise NotFoundError(f"no {what} has the id {', '.join(missing)}")
