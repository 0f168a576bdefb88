"""How calls to LiveKit end. A 200 from CreateDispatch means that the dispatch is stored, not that an agent joins."""

from __future__ import annotations

from dataclasses import dataclass

from app.errors import UsherError
from app.livekit.failures.trouble import REFUSALS


@dataclass(frozen=True, slots=True)
class Accepted:
    """LiveKit stored the dispatch under this id; `adopted`: an earlier call did, as its list shows."""

    livekit_dispatch_id: str
    adopted: bool = False


@dataclass(frozen=True, slots=True)
class Rejected:
    """The call certainly had no effect. `permanent`: the same request can never succeed."""

    code: str
    text: str
    permanent: bool = False


@dataclass(frozen=True, slots=True)
class Unknown:
    """The call may have taken effect, or may yet take it (timeout, reset, 5xx, crash while sending).

    `is_answered`: LiveKit itself reported the failure, so it is not working on the call any more, unless it waited for
    another node.
    """

    code: str
    text: str
    is_answered: bool = False


@dataclass(frozen=True, slots=True)
class Unreachable:
    """No connection was made: the call certainly had no effect, and nothing is known about the request."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Done:
    """LiveKit has done what it was asked to do with a participant; `text` is its answer."""

    text: str


@dataclass(frozen=True, slots=True)
class ParticipantGone:
    """The call certainly had no effect, since LiveKit has no such participant or room."""

    text: str


Outcome = Accepted | Rejected | Unknown | Unreachable
ActionOutcome = Done | ParticipantGone | Rejected | Unknown | Unreachable
"""Of a call that does something to a participant."""


class LiveKitUnavailableError(UsherError):
    """LiveKit did not answer a read, or answered it with an error, whose `code` is then set."""

    status = 503

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code

    @property
    def advice(self) -> str:
        """What to look at first."""
        if self.code is None:
            return "is it running, and is LIVEKIT_URL its address?"
        if self.code in REFUSALS:
            return "compare LIVEKIT_API_KEY and LIVEKIT_API_SECRET with its configuration"
        return "it answers with an error of its own; see its log"


class LiveKitTransientError(LiveKitUnavailableError):
    """LiveKit did not answer for a reason that may be over in a moment: the read may be repeated."""


class RoomNotFoundError(UsherError):
    """LiveKit has no room of that name."""

    status = 404
