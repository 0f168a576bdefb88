"""Baseline of dispatching: the handler people write by hand, as LiveKit's and SQLAlchemy's documentation teach it.

Verify with the SDK, look the rule up with the async ORM (an indexed look-up by the very key), call `create_dispatch`
in the handler, write an audit row, commit, answer. SQLite is as durable as Usher's (WAL, synchronous=FULL), PostgreSQL
is reached through asyncpg, and the connections are the engine's default pool.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from livekit import api
from livekit.protocol.models import ParticipantInfo
from sqlalchemy import DateTime, event, select
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from tests.benchmark.webhooks.traffic import RULES

_key, _secret = os.environ["LIVEKIT_API_KEY"], os.environ["LIVEKIT_API_SECRET"]
_receiver = api.WebhookReceiver(api.TokenVerifier(_key, _secret))


class Base(DeclarativeBase):
    pass


class Rule(Base):
    """Which agent to send for what the participant's metadata, or the number that was dialled, say."""

    __tablename__ = "rules"
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(index=True)
    agent_name: Mapped[str]


class Audit(Base):
    __tablename__ = "audit"
    id: Mapped[int] = mapped_column(primary_key=True)
    room: Mapped[str]
    participant: Mapped[str]
    rule_id: Mapped[int]
    dispatch_id: Mapped[str]
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


_engine = create_async_engine(os.environ["BASELINE_DATABASE_URL"])
_sessions = async_sessionmaker(_engine, expire_on_commit=False)
_livekit: api.LiveKitAPI


@event.listens_for(_engine.sync_engine, "connect")
def _make_durable(connection: Any, _record: Any) -> None:
    if _engine.dialect.name != "sqlite":
        return
    cursor = connection.cursor()
    cursor.execute("PRAGMA busy_timeout = 20000")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.close()


@asynccontextmanager
async def _lifespan(_app: Starlette) -> AsyncIterator[None]:
    global _livekit  # noqa: PLW0603 - as a hand-written handler would
    async with _engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with _sessions() as session:
        session.add_all([Rule(key=name, agent_name=agent_name) for name, _, agent_name in RULES])
        await session.commit()
    _livekit = api.LiveKitAPI(os.environ["LIVEKIT_URL"], _key, _secret)
    yield
    await _livekit.aclose()
    await _engine.dispose()


async def webhook(request: Request) -> Response:
    """Send the agent of the matching rule for who joins."""
    body = await request.body()
    event = _receiver.receive(body.decode(), request.headers["authorization"])
    participant = event.participant
    if event.event != "participant_joined" or participant.kind == ParticipantInfo.AGENT:
        return Response()
    async with _sessions() as session:
        rule = await session.scalar(select(Rule).where(Rule.key == _key_of(participant)))
        if rule is not None:
            dispatch = await _livekit.agent_dispatch.create_dispatch(
                api.CreateAgentDispatchRequest(
                    agent_name=rule.agent_name,
                    room=event.room.name,
                    metadata=json.dumps(
                        {
                            "participant": {
                                "identity": participant.identity,
                                "name": participant.name,
                                "metadata": participant.metadata,
                                "attributes": dict(participant.attributes),
                            }
                        }
                    ),
                )
            )
            session.add(
                Audit(
                    room=event.room.name,
                    participant=participant.identity,
                    rule_id=rule.id,
                    dispatch_id=dispatch.id,
                    at=datetime.now(UTC),
                )
            )
            await session.commit()
    return Response()


def _key_of(participant: ParticipantInfo) -> str:
    if participant.kind == ParticipantInfo.SIP:
        return f"trunk-{int(participant.attributes['sip.trunkPhoneNumber'][-1]) - 1}"
    metadata = json.loads(participant.metadata)
    return f"{metadata['department']}-{metadata['language']}"


async def live(_request: Request) -> Response:
    """Answer that the server is up."""
    return PlainTextResponse("ok")


app = Starlette(
    routes=[Route("/livekit/webhook", webhook, methods=["POST"]), Route("/healthz", live)], lifespan=_lifespan
)
