"""Decides which dispatch of ours a dispatch on LiveKit's list is: pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from app.db.types import Scope
from app.livekit.client import SeenDispatch
from app.outbox.dispatch import DISPATCH_ID_ATTRIBUTE, Dispatch


@dataclass(frozen=True, slots=True)
class PromisedMark:
    """A dispatch id that an access token was given, for which agent and caller.

    LiveKit launches a token's dispatch whenever the token opens a room, also when the id has served before.
    `spent`: LiveKit's id of what it has served as in this session, which brings no agent any more.
    """

    id: str
    agent_name: str
    participant_identity: str
    spent: str | None = None


def owners_by_promise(
    here: Sequence[Dispatch], listed: Sequence[SeenDispatch], promised: Collection[PromisedMark]
) -> dict[str, str]:
    """Return, by LiveKit's id of a dispatch launched by a token, the id of the live dispatch that it serves."""
    owners: dict[str, str] = {}
    marks = {one.id: one for one in promised}
    for_room: dict[str, Dispatch] = {}
    for_caller: dict[tuple[str, str], Dispatch] = {}
    for dispatch in sorted(here, key=lambda one: one.id, reverse=True) if marks else ():  # the oldest stays
        for_caller[dispatch.agent_name, dispatch.participant_identity] = dispatch
        if dispatch.scope is Scope.ROOM:
            for_room[dispatch.agent_name] = dispatch
    for entry in listed if marks else ():
        mark = marks.get(entry.attributes.get(DISPATCH_ID_ATTRIBUTE, ""))
        if mark is None or mark.spent == entry.id:
            continue
        served = for_caller.get((mark.agent_name, mark.participant_identity)) or for_room.get(mark.agent_name)
        if served is not None:
            owners[entry.id] = served.id
    return owners


def owners_by_id(
    here: Sequence[Dispatch],
    listed: Sequence[SeenDispatch],
    unwanted: Collection[str],
    known: Collection[str],
) -> dict[str, str]:
    """Return, by LiveKit's id of a listed dispatch, our id: from its attributes, or because we noted LiveKit's."""
    owners: dict[str, str] = {}
    ids = {dispatch.id for dispatch in here}
    by_livekit_id = {dispatch.livekit_dispatch_id: dispatch.id for dispatch in here if dispatch.livekit_dispatch_id}
    for entry in listed:
        if entry.id in known:
            continue
        marked = entry.attributes.get(DISPATCH_ID_ATTRIBUTE)
        if marked is not None and (marked in ids or marked in unwanted):
            owners[entry.id] = marked
        elif entry.id in by_livekit_id:
            owners[entry.id] = by_livekit_id[entry.id]
    return owners


def owners_by_content(
    here: Sequence[Dispatch], listed: Sequence[SeenDispatch], owners: Mapping[str, str]
) -> dict[str, str]:
    """Return the owners of listed dispatches without our attribute that ask for the same agent and metadata."""
    found: dict[str, str] = {}
    owned = set(owners.values())
    free: dict[tuple[str, str], deque[SeenDispatch]] = {}
    for entry in listed:
        if entry.id not in owners and not entry.attributes.get(DISPATCH_ID_ATTRIBUTE):
            free.setdefault((entry.agent_name, entry.metadata), deque()).append(entry)
    for dispatch in here if free else ():
        if dispatch.id in owned or dispatch.livekit_dispatch_id or not dispatch.may_be_at_livekit:
            continue
        same = free.get((dispatch.agent_to_ask, dispatch.metadata))
        if same:
            found[same.popleft().id] = dispatch.id
    return found
