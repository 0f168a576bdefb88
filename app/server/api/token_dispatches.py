"""Deciding over the API which agents a participant gets, for token servers."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, Field

from app.db.columns.action_types import RuleAction
from app.errors import InvalidInputError, Problem
from app.flows.token_dispatches import Promise, decide
from app.livekit.participant.role import ROLE_OF_KIND
from app.livekit.vocabulary import ParticipantKind
from app.plan.expected import Expected
from app.server.api.framework.endpoint import ApiRequest, Model, Text
from app.settings import chosen_project

_CALLER_KINDS = [kind for kind in ParticipantKind if kind not in ROLE_OF_KIND]


class Room(Model):
    name: Text = Field(min_length=1, max_length=256)
    metadata: Text | dict[str, Any] = Field("", description="metadata of the room, as text or as an object")


class Participant(Model):
    identity: Text = Field(min_length=1, max_length=256)
    name: Text = ""
    kind: str = Field(ParticipantKind.STANDARD.value, pattern=f"^({'|'.join(_CALLER_KINDS)})$")
    metadata: Text | dict[str, Any] = Field("", description="metadata of the participant, as text or as an object")
    attributes: dict[Text, Text] = Field({})


class DecideOrder(Model):
    """The participant and the room of an access token."""

    participant: Participant
    room: Room
    project: Text | None = Field(None, description="LiveKit project; required if there are several")


class PromisedAgent(BaseModel):
    id: str = Field(description="id of the future dispatch, which the attributes carry")
    rule: str
    agent_name: str
    metadata: str
    attributes: dict[str, str]
    deployment: str | None
    restart_policy: str = Field(description="JRP_NEVER where Usher replaces the agent, so that LiveKit Cloud does not")
    failure: str | None = Field(description="why this agent cannot be dispatched; leave it out of the token")


class ActionOfRule(BaseModel):
    rule: str
    action: RuleAction
    transfer_to: str | None


class Decided(BaseModel):
    rules_version: int
    actions: list[ActionOfRule] = Field(
        description="what will be done with the participant when it joins, other than dispatching agents"
    )
    agents: list[PromisedAgent] = Field(description="for `RoomConfiguration.agents` of the access token")


async def decide_for_a_token(request: ApiRequest) -> dict[str, Any]:
    order: DecideOrder = request.body
    context = request.context
    allowed = request.user.projects
    every = [project.name for project in context.flow_context.settings.projects]
    projects = [name for name in every if allowed is None or name in allowed]
    project = chosen_project(order.project, projects)
    if isinstance(project, Problem):
        raise InvalidInputError("body", [project])
    participant = order.participant
    expected = Expected(
        project=project,
        room_name=order.room.name,
        room_metadata=_metadata(order.room.metadata),
        identity=participant.identity,
        name=participant.name,
        kind=participant.kind,
        metadata=_metadata(participant.metadata),
        attributes=participant.attributes,
    )
    book = await context.read(context.book)
    decided = await decide(context.flow_context, book, expected, context.orchestrator.lookups.answered)
    return {
        "rules_version": book.version,
        "agents": [_promise_json(one) for one in decided.promises],
        "actions": [{"rule": one.rule, "action": one.action, "transfer_to": one.transfer_to} for one in decided.others],
    }


def _promise_json(promise: Promise) -> dict[str, Any]:
    return {
        "id": promise.id,
        "rule": promise.rule,
        "agent_name": promise.agent_name,
        "metadata": promise.metadata,
        "attributes": dict(promise.attributes),
        "deployment": promise.deployment,
        "restart_policy": promise.restart_policy,
        "failure": promise.failure,
    }


def _metadata(given: str | dict[str, Any]) -> str:
    return given if isinstance(given, str) else json.dumps(given, ensure_ascii=False, separators=(",", ":"))
