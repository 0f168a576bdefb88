"""What users who are restricted to LiveKit projects may name in a request."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from app.errors import NotFoundError
from app.rules.rule_projects import projects_of
from app.server.request_context import RequestContext
from app.translation import translatable


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
        raise NotFoundError(translatable("no %(what)s has the id %(names)s", what=what, names=", ".join(missing)))


async def own_rules(context: RequestContext, projects: Collection[str] | None) -> frozenset[int] | None:
    """Return the ids of the rules that match calls of these projects alone; None for users restricted to none.

    What is said of other rules is about calls of other projects, too.
    """
    if projects is None:
        return None
    book = await context.read(context.book)
    named = ((rule.id, projects_of(rule.pattern)) for rule in book.rules)
    return frozenset(rule_id for rule_id, found in named if found is not None and found <= set(projects))
