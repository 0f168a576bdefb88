"""One sentence that says how a call stands, or how it went."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from app.audit.calls.call import CallFacts
from app.audit.calls.call_head import CallHead, CallOutcome, CallState
from app.audit.calls.cause_texts import is_english, reason_text
from app.audit.calls.duration import duration_text
from app.db.types import Cause
from app.livekit.vocabulary import JOINS
from app.outbox.dispatch import BESIDE, Dispatch
from app.outbox.states import WAITING
from app.translation import gettext, listed, translatable

_SENTENCES: Final[Mapping[CallState, str]] = {
    CallState.WAITING: translatable("%(who)s is waiting for %(agents)s: %(reason)s"),
    CallState.ANSWERED: "%(arrival)s",
    CallState.ENDED: translatable("%(arrival)s; the call has ended: %(reason)s"),
    CallState.NO_SHOW: translatable("no agent joined %(who)s: %(reason)s"),
    CallState.FAILED: translatable("no agent joined %(who)s: %(reason)s"),
    CallState.ABANDONED: translatable("%(who)s left before %(agents)s joined: %(reason)s"),
    CallState.CANCELLED: translatable("the dispatch of %(agents)s to %(who)s was cancelled: %(reason)s"),
    CallState.NO_MATCH: translatable("no agent joined %(who)s, because no rule matched"),
    CallState.IGNORED: translatable("no agent was dispatched to %(who)s: %(ignored_because)s"),
    CallState.REMOVED: translatable("%(who)s was removed from the room: %(reason)s"),
    CallState.TRANSFERRED: translatable("the call of %(who)s was transferred: %(reason)s"),
}
_OF_ACTIONS: Final[Mapping[CallState, str]] = {
    CallState.WAITING: translatable("%(who)s is to be removed or transferred: %(reason)s"),
    CallState.FAILED: translatable("%(who)s could not be removed or transferred: %(reason)s"),
    CallState.CANCELLED: translatable("%(who)s was neither removed nor transferred: %(reason)s"),
}
"""Of calls without a dispatch whose state an action on the caller decides, as far as it was not done."""
_WITH_TIME: Final = translatable("%(who)s left after %(time)s, before %(agents)s joined")
_ASKED: Final = translatable("no agent joined %(who)s; %(agents)s was asked")


def headline(call: CallHead, facts: CallFacts) -> str:
    """Return the sentence in the reader's language: in English with the stored reason, in others with the cause."""
    subject = facts.subject
    if subject.type not in JOINS and not facts.dispatches and not subject.participant_sid:
        room = call.room_name or gettext("unknown")
        return gettext("%(event)s of room %(room)s; no agent was dispatched.", event=subject.type, room=room)
    made = [record.dispatch for record in facts.dispatches]
    return sentence_of(call, made, is_acted_on=bool(facts.actions))


def sentence_of(call: CallHead, made: Iterable[Dispatch], *, is_acted_on: bool = False) -> str:
    """Return the sentence about a call with these dispatches.

    `is_acted_on`: whether the caller was to be removed or transferred.
    """
    made = list(made)
    who = call.participant_identity or gettext("room %(room)s", room=call.room_name)
    came = _named(one for one in made if one.joined_at is not None)
    awaited = _named(one for one in made if one.status in WAITING and not _is_to_take_over(one))
    agents = listed(call.agents) or gettext("no agent")
    if call.state is CallState.WAITING and not made:  # its lookups are asked, which say what agent
        agents = gettext("an agent")
    of_action = _OF_ACTIONS.get(call.state) if is_acted_on and not made else None
    sentence = gettext(
        of_action or _sentence_for(call),
        who=who,
        agents=awaited if call.state is CallState.WAITING and awaited else agents,
        reason=reason_text(call.cause, call.reason),
        arrival=_arrival(came or agents, who, call.seconds_to_agent),
        time=duration_text(max(0.0, (call.left_at - call.joined_at).total_seconds())) if call.left_at else "",
        ignored_because=reason_text(None, call.reason, call.rules) or gettext("agents are not dispatched to it"),
    )
    if CallOutcome.BEING_HANDED_OVER in call.outcomes:
        to = _named(one for one in made if _is_to_take_over(one))
        sentence = gettext("%(sentence)s; the call is being handed over to %(agents)s", sentence=sentence, agents=to)
    return sentence.rstrip(":. ") + "."


def _sentence_for(call: CallHead) -> str:
    if not is_english():  # a cause that only says what the state says is left out
        match call.state, call.cause:
            case CallState.ABANDONED, Cause.CALLER_LEFT if call.left_at is not None:
                return _WITH_TIME
            case CallState.NO_SHOW, Cause.NO_AGENT:
                return _ASKED
            case _:
                pass
    return _SENTENCES[call.state]


def _is_to_take_over(dispatch: Dispatch) -> bool:
    return dispatch.intent_key.startswith(BESIDE) and dispatch.status in WAITING


def _named(made: Iterable[Dispatch]) -> str:
    return listed(dict.fromkeys(one.agent_to_ask for one in made))


def _arrival(agents: str, who: str, seconds: float | None) -> str:
    if seconds is None:
        return gettext("%(agents)s joined %(who)s", agents=agents, who=who)
    if seconds == 0:
        return gettext("%(agents)s was already in the room when %(who)s joined", agents=agents, who=who)
    time = duration_text(seconds)
    return gettext("%(agents)s joined %(who)s after %(time)s", agents=agents, who=who, time=time)
