"""Takes agents back: deletes the dispatch, checks that it and its agent are gone, removes an agent that stays."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Self

from sqlalchemy import Connection

from app.db.types import DispatchStatus
from app.errors import UsherError
from app.flows.context import Context
from app.flows.listing.room_lists import ListedDispatches, ListedParticipants, RoomLists, identities_of
from app.lifecycle.leaving import Withdrawal
from app.livekit.client import LiveKitClient, SeenDispatch, SeenParticipant
from app.livekit.outcome import LiveKitUnavailableError
from app.livekit.vocabulary import DEFAULT_IDENTITY
from app.logs import get_logger
from app.observe.ghosts import restarts
from app.outbox.dispatch_store import read_locked, waiting_callers
from app.outbox.room_session import closed_sessions

_log = get_logger(__name__)

_TRIES = 5
_GOODBYE_S = (0.1, 0.3, 0.6)
"""Pauses between checks whether an agent leaves by itself once its dispatch is deleted; then it is removed."""


class Withdrawer:
    """Carries out withdrawals in the background; the sweep finds again what a crash interrupted."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._lists = context.room_lists
        self._tasks: set[asyncio.Task[None]] = set()

    def submit(self, withdrawals: Iterable[Withdrawal]) -> None:
        """Start to take back what `withdrawals` name."""
        for withdrawal in withdrawals:
            task = asyncio.create_task(self._withdraw(withdrawal))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def drain(self, timeout_s: float) -> None:
        """Wait for the withdrawals under way."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout_s)

    async def _withdraw(self, withdrawal: Withdrawal) -> None:
        client = self._context.clients.get(withdrawal.project)
        if client is None:
            return
        if withdrawal.ghost_sid is not None:
            await _remove_ghost(client, withdrawal)
            return
        log = _log.bind(room=withdrawal.room_name, dispatch_id=withdrawal.dispatch_id)
        if withdrawal.after_s > 0:
            await asyncio.sleep(withdrawal.after_s)
        for attempt in range(_TRIES):
            try:
                is_over, restarted_at = await self._read_session(withdrawal)
                if is_over:
                    return
                await take_back(client, self._lists, withdrawal, partial(self._is_called_off, withdrawal), restarted_at)
            except LiveKitUnavailableError as error:
                log.warning("could not withdraw yet", error=str(error), attempt=attempt + 1)
                await asyncio.sleep(min(8.0, 0.5 * 2.0**attempt))
            except UsherError as error:
                log.warning("could not withdraw; the sweep will find it", error=str(error))
                return
            except Exception as error:  # noqa: BLE001 - a task of its own: nobody else would report it
                self._context.defects.note("withdraw", error, room=withdrawal.room_name)
                return
            else:
                return

    async def _read_session(self, withdrawal: Withdrawal) -> tuple[bool, datetime | None]:
        """Return whether LiveKit has closed the room and everything in it, else when it made it again, if it did.

        Most rooms close soon after their last caller left; then LiveKit need not be asked.
        """
        session = (withdrawal.project, withdrawal.room_sid)

        def read(connection: Connection) -> tuple[bool, datetime | None]:
            if session in closed_sessions(connection, [session]):
                return True, None
            return False, restarts(connection, [session]).get(session)

        return await self._context.read(read)

    async def _is_called_off(self, withdrawal: Withdrawal) -> bool:
        """Return whether the agent has a caller again, such as one that reloaded the page."""
        if not withdrawal.dispatch_id:
            return False

        def read(connection: Connection) -> bool:
            dispatch = read_locked(connection, [withdrawal.dispatch_id]).get(withdrawal.dispatch_id)
            callers = waiting_callers(connection, [withdrawal.dispatch_id]).get(withdrawal.dispatch_id)
            return dispatch is not None and dispatch.status is DispatchStatus.JOINED and bool(callers)

        return await self._context.writer.run(read)


async def _remove_ghost(client: LiveKitClient, withdrawal: Withdrawal) -> None:
    """Ask LiveKit once to remove an agent whose node is lost: 1.13 refuses after 3 s, since no node serves it."""
    try:
        for one in await client.list_participants(withdrawal.room_name):
            if one.sid == withdrawal.ghost_sid:
                await client.remove_participant(withdrawal.room_name, one.identity)
    except LiveKitUnavailableError as error:
        _log.debug("LiveKit goes on listing a lost agent", room=withdrawal.room_name, error=str(error))


async def _never() -> bool:
    return False


async def take_back(
    client: LiveKitClient,
    lists: RoomLists,
    withdrawal: Withdrawal,
    is_called_off: Callable[[], Awaitable[bool]] = _never,
    restarted_at: datetime | None = None,
) -> None:
    """Carry out `withdrawal` unless it is called off; raises `LiveKitUnavailableError` when LiveKit does not answer.

    `restarted_at`: when LiveKit made the room again; who joined it before is not there any more.
    """
    project, room_name = withdrawal.project, withdrawal.room_name

    async def list_present() -> ListedParticipants:
        return (await lists.participants(client, project, room_name)).living(restarted_at)

    room = await client.find_room(room_name)
    if room is None or room.sid != withdrawal.room_sid:
        return  # LiveKit has closed the room and everything in it
    if withdrawal.only_dispatch and withdrawal.livekit_dispatch_id:
        await client.delete_dispatch(room_name, withdrawal.livekit_dispatch_id)
        return
    participants = await list_present()
    if withdrawal.only_if_alone and participants.has_caller:
        return
    listed = await lists.dispatches(client, project, room_name)
    if await is_called_off():
        return
    meant = _meant(listed, withdrawal)
    agents = _Agents.of(withdrawal, listed, meant)
    for entry in meant:
        if not entry.deleted:
            await client.delete_dispatch(room_name, entry.id)
    # Deleting the dispatch lets the agent say goodbye; one that is still listed a second later is removed.
    for pause in () if withdrawal.at_once else _GOODBYE_S:
        if not agents.among(participants):
            return
        await asyncio.sleep(pause)
        participants = await list_present()
    if await is_called_off():
        return
    for identity in agents.among(participants):
        await client.remove_participant(room_name, identity)


@dataclass(frozen=True, slots=True)
class _Agents:
    """The agents that a withdrawal takes out. Agents that came after them may have the same identities."""

    sids: Mapping[str, Collection[str]]
    """By identity, the SIDs of those that are known to have come."""
    identities: Collection[str]
    """Those that the jobs of the dispatches name and no job of another."""

    @classmethod
    def of(cls, withdrawal: Withdrawal, listed: ListedDispatches, meant: Sequence[SeenDispatch]) -> Self:
        """Return the agents of `withdrawal`, of whose dispatches LiveKit lists `meant`."""
        sids: dict[str, set[str]] = {}
        for identity, sid in withdrawal.agents:
            sids.setdefault(identity, set()).update({sid} - {""})
        ids = {entry.id for entry in meant}
        named = sids.keys() | {identity for entry in meant for identity in identities_of(entry)}
        return cls(
            sids,
            {
                identity
                for identity in named
                if not any(entry.id not in ids and not entry.deleted for entry in listed.with_agent(identity))
            },
        )

    def among(self, participants: ListedParticipants) -> set[str]:
        """Return the identities of those that are listed."""
        named = self.sids.keys() | set(self.identities)
        return {identity for identity in named if any(map(self._include, participants.of(identity)))}

    def _include(self, participant: SeenParticipant) -> bool:
        if sids := self.sids.get(participant.identity):
            return participant.sid in sids or participant.identity.startswith(DEFAULT_IDENTITY)
        return participant.identity in self.identities


def _meant(listed: ListedDispatches, withdrawal: Withdrawal) -> list[SeenDispatch]:
    found = {entry.id: entry for entry in listed.marked(withdrawal.dispatch_id)} if withdrawal.dispatch_id else {}
    known = listed.by_id.get(withdrawal.livekit_dispatch_id or "")
    return list((found | {known.id: known} if known is not None else found).values())


async def is_deleted(
    client: LiveKitClient, lists: RoomLists, project: str, room_name: str, livekit_dispatch_id: str
) -> bool:
    """Delete a dispatch and return whether LiveKit's list confirms that it is gone."""
    await client.delete_dispatch(room_name, livekit_dispatch_id)
    for pause in (0.0, 0.2, 0.5):
        await asyncio.sleep(pause)
        entry = (await lists.dispatches(client, project, room_name)).by_id.get(livekit_dispatch_id)
        if entry is None or entry.deleted:
            return True
    return False
