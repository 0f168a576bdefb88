"""What the causes of dispatches say to readers of pages in other languages than that of the stored reasons."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from app.db.types import Cause
from app.translation import current_language, gettext, translatable

CAUSE_TEXTS: Final[Mapping[Cause, str]] = {
    Cause.RULE_MATCHED: translatable("a rule matched"),
    Cause.PROMISED: translatable("an access token may have carried the dispatch"),
    Cause.AGENT_MAY_RETURN: translatable("the agent of the room's previous session may return"),
    Cause.REPLACES_AGENT: translatable("another agent is asked in place of one that left"),
    Cause.TEMPLATE_FAILED: translatable("the metadata or attributes of its rule could not be made"),
    Cause.OVER_BUDGET: translatable("the caller caused too many dispatches within a minute"),
    Cause.CLAIMED: translatable("the dispatch is being sent"),
    Cause.SENDER_LOST: translatable("the process that was sending the dispatch has stopped"),
    Cause.CALLER_PRESENT: translatable("the caller is there, as LiveKit confirms"),
    Cause.WAITS_FOR_LIMIT: translatable("its rule or agent is at its limit"),
    Cause.ACCEPTED: translatable("LiveKit accepted the dispatch"),
    Cause.ADOPTED: translatable("LiveKit already had the dispatch"),
    Cause.LATE_ANSWER: translatable("LiveKit accepted the dispatch late"),
    Cause.REFUSED: translatable("LiveKit refused the dispatch"),
    Cause.LIVEKIT_UNREACHABLE: translatable("LiveKit does not answer"),
    Cause.OUTCOME_UNKNOWN: translatable("it is unclear whether LiveKit accepted the dispatch"),
    Cause.LIVEKIT_RECOVERED: translatable("LiveKit answers again"),
    Cause.AGENT_OVERDUE: translatable("the agent has not joined yet"),
    Cause.NO_AGENT: translatable("no agent joined"),
    Cause.FALLBACK: translatable("the next agent is asked, since the one before did not join"),
    Cause.CLOCK_STEP: translatable("the clock was set, and the deadlines were corrected"),
    Cause.PROCESS_RESTARTED: translatable("Usher was restarted"),
    Cause.AGENT_JOINED: translatable("the agent joined"),
    Cause.AGENT_RECONNECTED: translatable("the agent has reconnected"),
    Cause.AGENT_NOT_OURS: translatable("the agent in the room came by another dispatch"),
    Cause.AGENT_LEFT: translatable("the agent left"),
    Cause.AGENT_LEFT_EARLY: translatable("the agent left too soon"),
    Cause.CALLERS_LEFT: translatable("the callers left"),
    Cause.CALLER_LEFT: translatable("the caller left"),
    Cause.ROOM_CLOSED: translatable("the room was closed"),
    Cause.ROOM_LOST: translatable("the room is gone"),
    Cause.CANCELLED_BY_HAND: translatable("a user cancelled the dispatch"),
    Cause.REDRIVEN: translatable("a user has sent another dispatch in its place"),
    Cause.ROOM_RESTARTED: translatable("LiveKit has opened the room again"),
    Cause.ROOM_UNLISTED: translatable("LiveKit does not list the room"),
    Cause.ROOM_FOUND: translatable("the room is open after all"),
    Cause.AGENT_LOST: translatable("the agent did not return after its LiveKit node was lost"),
    Cause.HANDOVER: translatable("the call is to go on with this agent"),
    Cause.HANDED_OVER: translatable("another agent has the call"),
    Cause.HANDOVER_FAILED: translatable("the next agent did not join, so the first keeps the call"),
    Cause.QUEUED: translatable("its rule or agent is at its limit, or the agent is out of service"),
    Cause.QUEUE_TIMEOUT: translatable("no place became free in time"),
    Cause.SUBSTITUTE: translatable("another agent is asked, since the agent is out of service"),
    Cause.OUT_OF_SERVICE: translatable("the agent is out of service, and no other can be asked"),
}


def reason_text(cause: Cause | None, reason: str, rules: Iterable[str] = ()) -> str:
    """Return why a dispatch or a call is in its state, in the reader's language.

    In English that is the stored reason, which has names and times; in others the cause, since the reason is English.
    `rules`: those that may have ignored the caller.
    """
    if is_english() or not reason:
        return reason
    for rule in map(repr, rules):
        if reason == f"rule {rule} ignores it":
            return gettext("rule %(rule)s ignores it", rule=rule)
    return stored_text(reason) if cause is None else gettext(CAUSE_TEXTS[cause])


def stored_text(text: str) -> str:
    """Return a stored text in the reader's language if it is one that is translated, else in quotes.

    Of `LiveKit refused: 14: no route`, the first part is translated, and the answer of LiveKit quoted.
    """
    if is_english() or is_translated(text):
        return gettext(text)
    head, _, answer = text.partition(": ")
    if answer and " " in head and is_translated(head):  # one word may be an error code
        return f"{gettext(head)}: {stored_text(answer)}"
    return quoted(text)


def quoted(text: str) -> str:
    """Return a text in the quotation marks of the reader's language."""
    return gettext("“%(text)s”", text=text)


def is_translated(text: str) -> bool:
    """Return whether the reader's language has this text, so that it is not one with names or figures in it."""
    return not text or gettext(text) != text


def is_english() -> bool:
    """Return whether the reader's language is that of stored texts."""
    return current_language().tag.partition("-")[0] == "en"
