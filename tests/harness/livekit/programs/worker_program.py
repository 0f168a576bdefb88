"""A real livekit-agents worker for the end-to-end tests; runs in an environment of its own.

It greets the caller in the language and for the department that the job metadata names. Both shapes of metadata are
read: Usher's default document, and a document that a rule's template passes through.

Environment: LIVEKIT_URL, LIVEKIT_API_KEY, LIVEKIT_API_SECRET (LiveKit's own), WORKER_AGENT_NAME, WORKER_PORT,
WORKER_BEHAVIOUR (see `BEHAVIOURS`), WORKER_LOAD (`none`: always take work; `starting`: see `load_of_starting_jobs`;
`default`: livekit-agents' own, the load of the machine).
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import time
from typing import Any

from livekit import api, rtc
from livekit.agents import Agent, AgentServer, AgentSession, JobContext, JobExecutorType, JobRequest, cli
from livekit.agents.voice.io import AudioInput

AGENT_NAME = os.environ["WORKER_AGENT_NAME"]
BEHAVIOUR = os.environ["WORKER_BEHAVIOUR"]
STAY_SECONDS = 1.0
BEHAVIOURS = {
    "greet",
    "refuse",
    "stall",
    "own_identity",
    "hesitate",
    "speak",
    "session",
    "finish",
    "shut_down",
    "hand_over",
    "raise",
    "remove_itself",
    "delete_room",
}
if BEHAVIOUR not in BEHAVIOURS:
    raise SystemExit(f"WORKER_BEHAVIOUR must be one of {sorted(BEHAVIOURS)}")

GREETINGS = {
    "en": "Hello {who}, this is {department}.",
    "es": "Hola {who}, aquí {department}.",
    "ca": "Hola {who}, aquí {department}.",
}
DEPARTMENTS = {
    ("en", "support"): "Support",
    ("es", "support"): "Soporte",
    ("ca", "support"): "Suport",
    ("en", "sales"): "Sales",
    ("es", "sales"): "Ventas",
    ("ca", "sales"): "Vendes",
}


def greeting_for(document: dict[str, Any]) -> str:
    """Return the greeting; Support in English when nothing (readable) is known about the caller."""
    participant = document.get("participant", {})
    wanted = participant.get("metadata", document)
    wishes = wanted if isinstance(wanted, dict) else {}
    language = wishes.get("language", "en")
    department = wishes.get("department", "support")
    who = participant.get("name") or participant.get("identity") or "there"
    return GREETINGS[language].format(who=who, department=DEPARTMENTS[language, department])


STARTING_SECONDS = 2.0
STARTING_LOAD = 0.15
accepted_at: list[float] = []


def load_of_starting_jobs(_server: AgentServer) -> float:
    """Say how busy we are: each job costs a share while it starts, and nothing after.

    It stands in for livekit-agents' default, the load of the whole machine, which no test can foretell.
    """
    since = time.monotonic() - STARTING_SECONDS
    return min(1.0, STARTING_LOAD * sum(at > since for at in accepted_at))


# With a threshold, an idle worker that keeps one process warm takes one job at a time and refuses what comes meanwhile.
loads: dict[str, dict[str, Any]] = {
    "none": {"load_fnc": lambda: 0.0, "load_threshold": math.inf},
    "starting": {"load_fnc": load_of_starting_jobs, "load_threshold": 0.7},
    "default": {},
}

server = AgentServer(
    job_executor_type=JobExecutorType.THREAD,
    num_idle_processes=1,
    host="127.0.0.1",
    port=int(os.environ["WORKER_PORT"]),
    drain_timeout=1,
    **loads[os.environ["WORKER_LOAD"]],
)


class Hearing(AudioInput):  # type: ignore[misc]  # livekit-agents is not in the environment that checks types
    """The audio that reaches a session; says whose in the agent's attribute `hears`."""

    def __init__(self, session: AgentSession[None], room: rtc.Room) -> None:
        super().__init__(label="hearing", source=session.input.audio)
        self.session = session
        self.room = room
        self.heard = ""

    async def __anext__(self) -> rtc.AudioFrame:
        frame = await super().__anext__()
        linked = self.session.room_io.linked_participant
        if linked is not None and linked.sid != self.heard:
            self.heard = linked.sid
            await self.room.local_participant.set_attributes({"hears": linked.sid})
        return frame


rooms_hesitated_in: set[str] = set()


async def answer_request(request: JobRequest) -> None:
    accepted_at.append(time.monotonic())
    if BEHAVIOUR == "refuse":
        await request.reject()
    elif BEHAVIOUR == "own_identity":
        await request.accept(identity=f"receptionist-{request.room.name}", name="Receptionist")
    else:
        await request.accept()


@server.rtc_session(agent_name=AGENT_NAME, on_request=answer_request)
async def serve_caller(ctx: JobContext) -> None:
    document = json.loads(ctx.job.metadata)
    if BEHAVIOUR == "stall":
        await asyncio.Event().wait()
    if BEHAVIOUR == "hesitate" and ctx.room.name not in rooms_hesitated_in:
        rooms_hesitated_in.add(ctx.room.name)
        await asyncio.sleep(document["participant"]["metadata"]["hesitate"])
    await ctx.connect()
    await ctx.room.local_participant.set_attributes(
        {"greeting": greeting_for(document), "job_metadata": ctx.job.metadata}
    )
    await after_greeting(ctx)


async def after_greeting(ctx: JobContext) -> None:
    """Do what the behaviour says once the caller is greeted; most stay until the room closes."""
    match BEHAVIOUR:
        case "speak":
            track = rtc.LocalAudioTrack.create_audio_track("voice", rtc.AudioSource(24000, 1))
            await ctx.room.local_participant.publish_track(track)
        case "session":
            # A whole AgentSession without models: it listens to nothing, but opens and closes as any other does.
            session = AgentSession[None]()
            await session.start(Agent(instructions=""), room=ctx.room)
            session.input.audio = Hearing(session, ctx.room)
        case "finish":
            await asyncio.sleep(STAY_SECONDS)
            await ctx.room.local_participant.set_attributes({"usher.done": "1"})
            ctx.shutdown()
        case "hand_over":
            await asyncio.sleep(STAY_SECONDS)
            said = {"usher.next": "expert", "usher.context": '{"topic": "invoice"}'}
            await ctx.room.local_participant.set_attributes(said)
            ctx.shutdown()
        case "shut_down":
            await asyncio.sleep(STAY_SECONDS)
            ctx.shutdown()
        case "raise":
            await asyncio.sleep(STAY_SECONDS)
            raise RuntimeError("as ordered")
        case "remove_itself":
            await asyncio.sleep(STAY_SECONDS)
            identity = ctx.room.local_participant.identity
            await ctx.api.room.remove_participant(api.RoomParticipantIdentity(room=ctx.room.name, identity=identity))
        case "delete_room":
            await asyncio.sleep(STAY_SECONDS)
            await ctx.api.room.delete_room(api.DeleteRoomRequest(room=ctx.room.name))


if __name__ == "__main__":
    cli.run_app(server)
