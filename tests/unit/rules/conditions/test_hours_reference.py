"""Opening hours as people write them: the same answers as opening_hours.js 3.14.0, or a refusal that helps.

Each line of the data holds a value and when it is open or unknown from 1 November 2026 to 11 January 2027, sampled in
the middle of each half-hour, with the public holidays of Berlin (in that time those of Germany).
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app.rules.conditions.hours.active_hours import check_hours
from app.rules.conditions.hours.clauses import State
from app.rules.conditions.hours.evaluation import Schedule
from app.rules.conditions.hours.parser import parse
from app.rules.conditions.hours.public_holidays import PublicHolidayCalendar

ANSWERS = [
    json.loads(line)
    for line in (Path(__file__).parent / "data" / "opening_hours.jsonl").read_text(encoding="utf-8").splitlines()
]
START, END = datetime.fromisoformat("2026-11-01"), datetime.fromisoformat("2027-01-12")
HALF_HOUR = timedelta(minutes=30)
REFUSED = {
    # Usher wants these in the syntax proper, and names it.
    "Mo-Fr 9-17": "Mo-Fr 09:00-17:00",
    "Mo-Fr 09.00-17.00": "Mo-Fr 09:00-17:00",
    "Mo–Fr 09:00–17:00": "Mo-Fr 09:00-17:00",
    "Mon-Fri 09:00-17:00": "Mo-Fr 09:00-17:00",
    "Mo-Fr 9am-5pm": "Mo-Fr 09:00-17:00",
    "Mo-Fr 08:00-12:00 und 14:00-17:00": "Mo-Fr 08:00-12:00,14:00-17:00",
    "daily 09:00-17:00": "Mo-Su 09:00-17:00",
    "24 hours": "24/7",
    "10:00-16:00/01:30": "10:00-16:00",
    # A rule cannot follow these; the message says what can be written.
    "SH off; Mo-Fr 09:00-17:00": "Jul 01-Aug 31",
    "Mo-Fr sunrise-sunset": "08:00-20:00",
    "Jun 01-Oct Sa[-1]: Mo-Su 07:00-02:00": "Oct 31",
}


def half_hours(answer: dict[str, Any]) -> dict[datetime, State]:
    states = {}
    for start, end, state in answer["intervals"]:
        moment = datetime.fromisoformat(start)
        while moment < datetime.fromisoformat(end):
            states[moment] = State(state)
            moment += HALF_HOUR
    return states


@pytest.mark.parametrize("answer", ANSWERS, ids=[answer["hours"] for answer in ANSWERS])
def test_the_answers_of_the_reference(answer: dict[str, Any]) -> None:
    value = answer["hours"]
    problems = check_hours(value, "DE")
    if value in REFUSED:
        (problem,) = problems
        spelling = problem.suggestion or problem.message.rsplit("such as ", 1)[1]
        assert spelling == REFUSED[value]
        assert check_hours(spelling, "DE") == []
        return
    assert problems == []
    schedule = Schedule(parse(value), PublicHolidayCalendar("DE"))
    expected = half_hours(answer)
    moment = START
    while moment < END:
        state = schedule.plan(moment.date()).state_at(moment.hour * 60 + moment.minute + 15)
        assert state is expected.get(moment, State.CLOSED), moment
        moment += HALF_HOUR


def test_every_value_has_an_answer() -> None:
    assert len(ANSWERS) == 95
    assert REFUSED.keys() <= {answer["hours"] for answer in ANSWERS}
