"""Lists of calls: joins of callers, each with the state of its call.

A list follows one index: of joins, or of what `q` finds; or those of dispatches, of actions on callers and of joins
whose lookups are asked, of which each call in a certain state has one. What no index serves is checked on each call
that this finds, `MAX_CALLS_CHECKED` of them for one page; the page then says how far it got.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, or_, select

from app.audit.call_lists.call_filter import CallFilter, has_text
from app.audit.call_lists.call_rows import CallRow, read_calls
from app.audit.call_lists.call_search import by_action, call_search
from app.audit.call_lists.phone_text import SoughtNumbers
from app.audit.calls.call_head import CallDirection, CallHead, CallOutcome, CallState
from app.audit.lists.access_path import AccessPath, ByPrefix, ByValueAndMinute
from app.audit.lists.dispatch_list import DispatchFilter, search_dispatches
from app.audit.lists.event_list import EventFilter, by_ignored_caller, by_ignoring_rule, by_outcome, search_events
from app.audit.lists.filter_values import DEFAULT_LIMIT, refuse_unstorable
from app.audit.lists.paging import LARGEST_PAGE, Page, decode_cursor, encode_cursor, read_merged
from app.audit.lists.path_rows import Search, is_common
from app.db.record_ids import instant_of_id, lowest_id_at
from app.db.tables import dispatch_attempts, dispatches, events
from app.db.types import AttemptOutcome, Cause, EventOutcome, ReplacesKind
from app.livekit.participant.role import CALLER_ROLES, PHONE_KINDS, Role
from app.livekit.vocabulary import EventType

MAX_CALLS_CHECKED: Final = 400
"""Calls that are read for one page to apply what no index serves; each costs about 50 µs."""
_AT_ONCE: Final = 100


@dataclass(frozen=True, slots=True)
class _Row:
    """A row that the followed index finds; `dispatch_id` if it is one of dispatches."""

    id: str
    event_id: str
    dispatch_id: str | None


def list_calls(
    connection: Connection, chosen: CallFilter, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None
) -> Page[CallHead]:
    """Return a page of the calls that match `chosen`, newest first; no call is on two pages."""
    refuse_unstorable(chosen)
    limit = max(1, min(limit, LARGEST_PAGE))
    lister = _Lister(connection, chosen)
    found: list[CallHead] = []
    checked = 0
    while True:
        size = limit - len(found) if lister.takes_all else _AT_ONCE
        page = lister.rows(size, cursor)
        calls = lister.calls(page.items)
        for place, row in enumerate(page.items):
            call = calls.get(row.id)
            if call is None:
                continue
            found.append(call.head)
            if len(found) == limit:
                is_last = page.next_cursor is None and place == len(page.items) - 1
                return Page(tuple(found), None if is_last else encode_cursor(row.id), None)
        checked += len(page.items)
        cursor = page.next_cursor
        if cursor is None:
            return Page(tuple(found), None, None)
        if page.searched_back_to is not None or checked >= MAX_CALLS_CHECKED:
            return Page(tuple(found), cursor, instant_of_id(decode_cursor(cursor)))


def iterate_calls(connection: Connection, chosen: CallFilter) -> Iterator[CallHead]:
    """Yield all calls that match `chosen`, newest first, in bounded memory."""
    cursor: str | None = None
    while True:
        page = list_calls(connection, chosen, limit=500, cursor=cursor)
        yield from page.items
        cursor = page.next_cursor
        if cursor is None:
            return


class _Lister:
    """Follows the index that leaves the fewest calls to check."""

    def __init__(self, connection: Connection, chosen: CallFilter) -> None:
        self._connection = connection
        self._chosen = chosen
        self._numbers = SoughtNumbers(chosen.q or "")
        self._paths: tuple[AccessPath, ...] = call_search(connection, chosen.q) if chosen.q else ()
        self._by_dispatches_or_actions = chosen.follows_dispatches_and_actions and (
            not self._paths or self._is_q_common()
        )
        """Whether dispatches and actions are followed, not joins."""
        self._by_dispatches = self._by_dispatches_or_actions and bool(
            chosen.needs_dispatch or (chosen.rule and chosen.may_have_dispatch) or chosen.statuses
        )
        self.takes_all = not chosen.reads_every_call
        """Whether each row that is found is a call to list."""

    def _is_q_common(self) -> bool:
        paths = (path for path in self._paths if isinstance(path, ByPrefix | ByValueAndMinute))
        return any(is_common(self._connection, path) for path in paths)

    def rows(self, size: int, cursor: str | None) -> Page[_Row]:
        """Return the next rows of the indexes."""
        return read_merged(self._connection, self._searches(), _row, size, cursor)

    def _searches(self) -> Iterator[Search]:
        if not self._by_dispatches_or_actions:
            yield self._joins(self._paths or _paths_to_ignored(self._chosen))
            return
        if self._by_dispatches:
            yield self._dispatches()
        if paths := _paths_without_dispatch(self._chosen):
            yield self._joins(paths)

    def calls(self, rows: Sequence[_Row]) -> dict[str, CallRow]:
        """Return the calls to list of these rows, by the id of the row."""
        wanted = list(dict.fromkeys(row.event_id for row in rows))
        if not wanted:
            return {}
        calls = {
            row.join.id: row
            for row in read_calls(self._connection, wanted, with_bodies=bool(self._chosen.metadata))
            if self._is_wanted(row)
        }
        return {row.id: calls[row.event_id] for row in rows if row.event_id in calls and self._names(row, calls)}

    def _is_wanted(self, call: CallRow) -> bool:
        chosen = self._chosen
        if self._by_dispatches_or_actions and chosen.q and not has_text(call, chosen.q, numbers=self._numbers):
            return False
        return chosen.has_call(call)

    def _names(self, row: _Row, calls: dict[str, CallRow]) -> bool:
        """Return whether a row is the one for which its call is listed: of several dispatches the newest, if any."""
        if not self._by_dispatches:
            return True
        chosen = self._chosen
        least = "" if chosen.since is None else lowest_id_at(chosen.since)
        before = None if chosen.until is None else lowest_id_at(chosen.until)
        own = [one for one in calls[row.event_id].made if one.is_own and chosen.has_dispatch(one)]
        within = [one.id for one in own if one.id >= least and (before is None or one.id < before)]
        return max(within, default=None) == row.dispatch_id

    def _joins(self, paths: tuple[AccessPath, ...]) -> Search:
        chosen = self._chosen
        return search_events(
            EventFilter(
                project=chosen.project,
                projects=chosen.projects,
                types=(EventType.PARTICIPANT_JOINED,),
                outcomes=chosen.event_outcomes,
                identity=chosen.identity,
                room=chosen.room,
                phone_number=chosen.phone_number,
                since=chosen.since,
                until=chosen.until,
                search=chosen.search,
            ),
            ("id",),
            paths,
            _conditions_on_joins(chosen),
        )

    def _dispatches(self) -> Search:
        chosen, column = self._chosen, dispatches.c
        more: list[ColumnElement[bool]] = []
        if chosen.outcome is CallOutcome.JOINED:
            more.append(column.joined_at.is_not(None))
        elif CallOutcome.ABANDONED is chosen.outcome or chosen.states == {CallState.ABANDONED}:
            more.append(column.cause == Cause.CALLER_LEFT)
        elif chosen.outcome is CallOutcome.FALLBACK:
            more.append(column.rung > 0)
        elif chosen.outcome in {CallOutcome.HANDED_OVER, CallOutcome.BEING_HANDED_OVER}:
            more.append(column.replaces_kind == ReplacesKind.HANDOVER)
        elif chosen.outcome is CallOutcome.LEFT_EARLY:
            attempt = dispatch_attempts.c
            early = select(attempt.number).where(
                attempt.dispatch_id == column.id, attempt.outcome == AttemptOutcome.LEFT_EARLY
            )
            more.append(early.limit(1).scalar_subquery().is_not(None))
        return search_dispatches(
            DispatchFilter(
                project=chosen.project,
                projects=chosen.projects,
                statuses=chosen.statuses,
                identity=chosen.identity,
                room=chosen.room,
                phone_number=chosen.phone_number,
                rule=chosen.rule,
                asked_agent=chosen.agent,
                since=chosen.since,
                until=chosen.until,
                search=chosen.search,
            ),
            ("id", "event_id"),
            more,
        )


def _row(row: Mapping[Any, Any]) -> _Row:
    """Return a row of either search."""
    if "event_id" in row:
        return _Row(row["id"], row["event_id"], row["id"])
    return _Row(row["id"], row["id"], None)


def _paths_without_dispatch(chosen: CallFilter) -> tuple[AccessPath, ...]:
    """Return the access paths to the joins of calls that need no dispatch to match."""
    if chosen.needs_dispatch:
        return ()
    if chosen.rule:
        return (by_action("rule_name", chosen.rule), by_ignoring_rule(chosen.rule))
    paths: list[AccessPath] = [by_action("status", status) for status in chosen.action_statuses]
    if CallState.WAITING in chosen.states:
        paths.append(by_outcome(EventOutcome.LOOKING_UP))
    return tuple(paths)


def _paths_to_ignored(chosen: CallFilter) -> tuple[AccessPath, ...]:
    """Return the access paths to joins where callers who were ignored are wanted; none if another filter leaves few."""
    if not chosen.follows_ignored:
        return ()
    others = [one for one in chosen.event_outcomes if one is not EventOutcome.IGNORED]
    return (*map(by_ignored_caller, CALLER_ROLES), *map(by_outcome, others))


def _conditions_on_joins(chosen: CallFilter) -> list[ColumnElement[bool]]:
    """Return what the database can check of a join; what it can only narrow is checked again on each call."""
    column = events.c
    found: list[ColumnElement[bool]] = []
    if EventOutcome.IGNORED in chosen.event_outcomes:  # also that of joins of agents and other programs
        found.append(or_(column.outcome != EventOutcome.IGNORED, column.participant_role.in_(CALLER_ROLES)))
    if chosen.direction is not None:
        is_callee = column.participant_role == Role.CALLEE
        found.append(column.participant_kind.in_(sorted(PHONE_KINDS)))
        found.append(is_callee if chosen.direction is CallDirection.OUTBOUND else ~is_callee)
    return found
