"""How a call to LiveKit turned out. A 200 from CreateDispatch means "written down", never "an agent comes"."""

from __future__ import annotations

from dataclasses import dataclass

from app.errors import UsherError


@dataclass(frozen=True, slots=True)
class Accepted:
    """LiveKit wrote the dispatch down under this id; `adopted` when an earlier call is found to have done so."""

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
    """The call may or may not have had its effect, or may have it yet (timeout, reset, 5xx, crash while sending).

    `is_answered`: LiveKit itself said that it failed, so it is not at it any more, unless it waited for another node.
    """

    code: str
    text: str
    is_answered: bool = False


@dataclass(frozen=True, slots=True)
class Unreachable:
    """No connection was made, so the call certainly had no effect; that is no answer about the request either."""

    code: str
    text: str


Outcome = Accepted | Rejected | Unknown | Unreachable


class LiveKitUnavailableError(UsherError):
    """LiveKit did not answer a question, or not with an answer."""

    status = 503


class LiveKitTroubledError(LiveKitUnavailableError):
    """The same, for a reason that may be over in a moment: the question may be asked again."""


class RoomNotFoundError(UsherError):
    """LiveKit has no room of that name."""

    status = 404
