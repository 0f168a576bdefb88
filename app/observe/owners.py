"""Decides which dispatch of ours a dispatch on LiveKit's list is: pure."""

from __future__ import annotations

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
    for entry in listed if marks else ():
        mark = marks.get(entry.attributes.get(DISPATCH_ID_ATTRIBUTE, ""))
        if mark is None or mark.spent == entry.id:
            continue
        served = [one for one in here if one.agent_name == mark.agent_name and serves(one, mark.participant_identity)]
        if served:
            owners[entry.id] = min(
                served, key=lambda one: (one.participant_identity != mark.participant_identity, one.id)
            ).id
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
    for dispatch in here:
        if dispatch.id in owned or dispatch.livekit_dispatch_id or not dispatch.may_be_at_livekit:
            continue
        for entry in listed:
            same = entry.agent_name == dispatch.agent_to_ask and entry.metadata == dispatch.metadata
            is_free = entry.id not in owners and entry.id not in found
            if is_free and same and not entry.attributes.get(DISPATCH_ID_ATTRIBUTE):
                found[entry.id] = dispatch.id
                break
    return found


def serves(dispatch: Dispatch, identity: str | None) -> bool:
    """Return whether an agent that served `identity` before (None: none of our callers) is the one for `dispatch`."""
    return identity is not None and (dispatch.scope is Scope.ROOM or dispatch.participant_identity == identity)
