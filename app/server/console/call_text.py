"""One call as Markdown, for a ticket or a chat."""

from __future__ import annotations

from collections.abc import Sequence

from app.audit import Step, Timeline, duration_text
from app.db.types import format_instant

_MARKS = "\\`*_[]<>#|"


def call_markdown(timeline: Timeline, summary: str, address: str) -> str:
    """Return the facts and the steps of a call as Markdown; what callers chose is escaped."""
    call = timeline.call
    facts = {
        "Caller": f"{call.participant_identity} ({call.participant_name})" if call.participant_name else "",
        "State": str(call.state).replace("_", " "),
        "Room": call.room_name,
        "Phone": call.phone_number or "",
        "Dialled": call.called_number or "",
        "Joined": format_instant(call.joined_at),
        "Agents asked": ", ".join(call.asked_agents),
        "Time to agent": "" if call.seconds_to_agent is None else duration_text(call.seconds_to_agent),
        "Participant SID": call.participant_sid,
        "Room SID": call.room_sid,
    }
    lines = [
        f"**[Call of {escaped(call.participant_identity or call.room_name)}]({address})**",
        "",
        escaped(summary),
        "",
    ]
    lines += [f"- {name}: {escaped(value)}" for name, value in facts.items() if value]
    return "\n".join([*lines, "", *_steps(timeline.steps)]) + "\n"


def _steps(steps: Sequence[Step]) -> list[str]:
    found = []
    for step in steps:
        reason = f" ({escaped(step.reason)})" if step.reason else ""
        found.append(f"- `{format_instant(step.at)}` {escaped(step.title)}{reason}")
    return found


def escaped(text: str) -> str:
    """Return a text in one line whose characters mean nothing in Markdown."""
    return "".join(f"\\{one}" if one in _MARKS else one for one in " ".join(text.split()))
