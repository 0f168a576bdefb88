"""People who join rooms over WebRTC, many of them in one program of the workers' environment."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from tests.harness.polling import eventually
from tests.harness.process import Process

PROGRAM = Path(__file__).parent / "programs" / "participants_program.py"
ANSWER_SECONDS = 30.0


@dataclass
class Participant:
    """One connection to one room: what the server said of it, and all that happened around it so far."""

    seat: str
    program: Participants
    identity: str = ""
    sid: str = ""
    room: str = ""
    room_sid: str = ""
    joined_at: float = 0.0
    happened: list[dict[str, Any]] = field(default_factory=list)

    def leave(self) -> None:
        self.program.ask(self.seat, "leave")

    def publish_audio(self) -> None:
        """Publish a silent microphone."""
        self.program.ask(self.seat, "publish_audio")

    def set_metadata(self, metadata: str) -> None:
        self.program.ask(self.seat, "set_metadata", metadata=metadata)

    def set_attributes(self, attributes: Mapping[str, str]) -> None:
        self.program.ask(self.seat, "set_attributes", attributes=dict(attributes))

    def own_attributes(self) -> list[dict[str, str]]:
        """Return this participant's attributes after each change, the latest last."""
        changes = [each for each in list(self.happened) if each["event"] == "participant_attributes_changed"]
        seen = [each["participant"] for each in changes]
        return [one["attributes"] for one in seen if one["identity"] == self.identity]

    def remotes(self) -> list[dict[str, Any]]:
        """Return the others in the room as this participant sees them now."""
        seen: list[dict[str, Any]] = self.program.ask(self.seat, "remotes")
        return seen

    def seconds_to_agent(self) -> float:
        """Return how long after being let in this participant first saw an agent come in."""
        came = [
            each["at"]
            for each in list(self.happened)
            if each["event"] == "participant_connected" and each["participant"]["kind"] == "AGENT"
        ]
        if not came:
            raise AssertionError(f"{self.identity} saw no agent come into {self.room}")
        return float(came[0]) - self.joined_at

    def greetings(self) -> list[str]:
        """Return what the agents in the room have said, by the order of their identities."""
        agents = sorted((each for each in self.remotes() if each["kind"] == "AGENT"), key=lambda each: each["identity"])
        return [each["attributes"]["greeting"] for each in agents if "greeting" in each["attributes"]]

    def wait_for_greeting(self, *, within: float = 15) -> str:
        """Return the greeting of the first agent who greets."""
        return eventually(self.greetings, within=within, what=f"{self.identity} is greeted in {self.room}")[0]

    def job_metadata(self) -> list[Any]:
        """Return the job metadata that each greeting agent in the room was given."""
        return [
            json.loads(each["attributes"]["job_metadata"])
            for each in self.remotes()
            if "job_metadata" in each["attributes"]
        ]


class Participants(Process):
    """The program in which all participants of a test live; killing it is a crash of all their clients at once."""

    def __init__(self, python: Path, *, directory: Path, name: str = "participants") -> None:
        super().__init__(name, [python, "-u", PROGRAM], directory=directory)
        self._numbers = itertools.count(1)
        self._answers: dict[int, SimpleQueue[dict[str, Any]]] = {}
        self._seats: dict[str, Participant] = {}
        self._speaking = threading.Lock()

    def start(self, *, stdin: bool = True, stdout: bool = True) -> None:
        """Start it; no room has participants yet."""
        super().start(stdin=stdin, stdout=stdout)
        threading.Thread(target=self._listen, name=self.name, daemon=True).start()

    def join(self, url: str, token: str) -> Participant:
        """Let a participant join; returns when the server has admitted them."""
        return self.join_all(url, [token])[0]

    def join_all(self, url: str, tokens: list[str]) -> list[Participant]:
        """Let all of them join at the same time; returns when the last is in."""
        joining = []
        for token in tokens:
            participant = Participant(seat=f"seat-{next(self._numbers)}", program=self)
            self._seats[participant.seat] = participant
            joining.append((participant, self._say(participant.seat, "join", url=url, token=token)))
        for participant, number in joining:
            let_in = self._hear(number)
            participant.identity, participant.sid = let_in["identity"], let_in["sid"]
            participant.room, participant.room_sid = let_in["room"], let_in["room_sid"]
            participant.joined_at = let_in["at"]
        return [participant for participant, _ in joining]

    def ask(self, seat: str, what: str, **details: Any) -> Any:
        return self._hear(self._say(seat, what, **details))

    def _say(self, seat: str, what: str, **details: Any) -> int:
        number = next(self._numbers)
        self._answers[number] = SimpleQueue()
        line = json.dumps({"id": number, "do": what, "seat": seat, **details})
        with self._speaking:
            self.stdin.write(line.encode() + b"\n")
            self.stdin.flush()
        return number

    def _hear(self, number: int) -> Any:
        try:
            answer = self._answers[number].get(timeout=ANSWER_SECONDS)
        except Empty:
            raise AssertionError(f"{self.name} gave no answer:\n{self.log_text()[-4000:]}") from None
        finally:
            del self._answers[number]
        if "error" in answer:
            raise AssertionError(f"{self.name}: {answer['error']}")
        return answer["result"]

    def _listen(self) -> None:
        for line in self.stdout:
            message = json.loads(line)
            if "id" in message:
                if waiting := self._answers.get(message["id"]):
                    waiting.put(message)
            else:
                self._seats[message.pop("seat")].happened.append(message)
