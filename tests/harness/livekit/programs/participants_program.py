"""People in rooms, for the end-to-end tests; runs in an environment that has `livekit` (rtc).

One JSON object a line. In: `{"id": 1, "do": …, "seat": …}`; what can be done stands in `carry_out`.
Out: `{"id": 1, "result": …}` or `{"id": 1, "error": "…"}`, and between them, unasked, `{"seat": …, "event": …}`.
A seat is one connection: who leaves and comes back takes another seat. Ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

from livekit import rtc

seats: dict[str, rtc.Room] = {}


def say(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def portrait(participant: rtc.Participant) -> dict[str, Any]:
    return {
        "identity": participant.identity,
        "sid": participant.sid,
        "kind": rtc.ParticipantKind.Name(participant.kind).removeprefix("PARTICIPANT_KIND_"),
        "metadata": participant.metadata,
        "attributes": dict(participant.attributes),
    }


def listen(seat: str, room: rtc.Room) -> None:
    def report(event: str, participant: rtc.Participant | None = None) -> None:
        who = None if participant is None else portrait(participant)
        say({"seat": seat, "event": event, "at": time.time(), "participant": who})

    room.on("participant_connected", lambda who: report("participant_connected", who))
    room.on("participant_disconnected", lambda who: report("participant_disconnected", who))
    room.on("participant_attributes_changed", lambda _changed, who: report("participant_attributes_changed", who))
    room.on("disconnected", lambda _reason: report("disconnected"))
    room.on("reconnecting", lambda: report("reconnecting"))
    room.on("reconnected", lambda: report("reconnected"))


async def join(seat: str, url: str, token: str) -> dict[str, Any]:
    room = rtc.Room()
    listen(seat, room)
    await room.connect(url, token)
    at = time.time()
    seats[seat] = room
    local = room.local_participant
    return {"identity": local.identity, "sid": local.sid, "room": room.name, "room_sid": await room.sid, "at": at}


async def carry_out(request: dict[str, Any]) -> Any:
    seat = request["seat"]
    match request["do"]:
        case "join":
            return await join(seat, request["url"], request["token"])
        case "leave":
            await seats.pop(seat).disconnect()
        case "publish_audio":
            track = rtc.LocalAudioTrack.create_audio_track("microphone", rtc.AudioSource(48000, 1))
            options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
            await seats[seat].local_participant.publish_track(track, options)
        case "set_metadata":
            await seats[seat].local_participant.set_metadata(request["metadata"])
        case "set_attributes":
            await seats[seat].local_participant.set_attributes(request["attributes"])
        case "remotes":
            return [portrait(each) for each in seats[seat].remote_participants.values()]
        case unknown:
            raise ValueError(f"no such request: {unknown}")
    return None


async def answer(line: bytes) -> None:
    request = json.loads(line)
    try:
        say({"id": request["id"], "result": await carry_out(request)})
    except Exception as error:  # noqa: BLE001 - whatever went wrong is the answer; the test decides
        say({"id": request["id"], "error": f"{type(error).__name__}: {error}"})


async def main() -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    tasks: set[asyncio.Task[None]] = set()
    while line := await reader.readline():
        task = asyncio.create_task(answer(line))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    for room in list(seats.values()):
        await room.disconnect()


if __name__ == "__main__":
    asyncio.run(main())
