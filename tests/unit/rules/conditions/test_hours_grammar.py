"""What the opening-hours grammar accepts, its usual spelling, and what it refuses with which help."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.rules.conditions.hours import check_hours
from app.rules.conditions.hours.lexer import HoursError
from app.rules.conditions.hours.parser import parse


@pytest.mark.parametrize(
    ("value", "usual"),
    [
        ("mo - FR   9:00 - 17:00 ;", "Mo-Fr 09:00-17:00"),
        ("Mo, We, Fr 09:00-12:00, 13:00-17:00", "Mo,We,Fr 09:00-12:00,13:00-17:00"),
        ("Sa, Su, PH off", "Sa,Su,PH off"),
        ("PH closed", "PH off"),
        ("Mo-Fr: 09:00-17:00", "Mo-Fr 09:00-17:00"),
        ("Jun 15-Sep 15: Th-Su 16:00-19:00", "Jun 15-Sep 15 Th-Su 16:00-19:00"),
        ("Dec 24, 25, 26 off", "Dec 24,Dec 25,Dec 26 off"),
        ("2026 Dec 24,25 off", "2026 Dec 24,2026 Dec 25 off"),
        ("Dec 24-26,31 off", "Dec 24-26,Dec 31 off"),
        ("2026-2030/2,2031+ Jan-Mar,May", "2026-2030/2,2031+ Jan-Mar,May"),
        ("2026/3", "2026/3"),
        ("week 2-52/2,week 53 Mo", "week 02-52/2,53 Mo"),
        ("Jan 1-31/8 10:00-11:00", "Jan 01-31/8 10:00-11:00"),
        ("Dec 1-24/7 10:00-11:00; Dec 1 - 24/7 12:00-13:00", "Dec 01-24/7 10:00-11:00; Dec 01-24/7 12:00-13:00"),
        ("week 1-24/7 Mo", "week 01-24/7 Mo"),
        ("Mar Su[-1] -1 day-May 1", "Mar Su[-1] -1 day-May 01"),
        ("Apr-Oct Su[2] 14:00-18:00", "Apr-Oct Su[2] 14:00-18:00"),
        ("Mo[1-2,-1] +3 days", "Mo[1,2,-1] +3 days"),
        ("easter -2 days,2027 easter off", "easter -2 days,2027 easter off"),
        ("PH +1 day,PH Mo-Fr off", "PH +1 day,PH Mo-Fr off"),
        ("10:00-16:00+", "10:00-16:00+"),
        ("22:00-26:00", "22:00-26:00"),
        ('24/7 closed "renovation"', '24/7 off "renovation"'),
        ('"by appointment"', '"by appointment"'),
        ('unknown "by appointment"', '"by appointment"'),
        ("open", "open"),
        ("Mo-Fr 10:00-16:00 open, 12:00-12:30 off", "Mo-Fr 10:00-16:00 open, 12:00-12:30 off"),
        ("Mo open, Tu 10:00-12:00", "Mo open, Tu 10:00-12:00"),
        (
            'Mo 10:00-12:00 || "call", Tu 10:00-11:00 || Sa unknown; We',
            'Mo 10:00-12:00 || "call", Tu 10:00-11:00 || Sa unknown; We',
        ),
    ],
)
def test_accepted_values_and_their_usual_spelling(value: str, usual: str) -> None:
    assert str(parse(value)) == usual
    assert parse(usual) == parse(value)
    assert check_hours(value, "ES") == []


@pytest.mark.parametrize(
    ("value", "message", "suggestion"),
    [
        # Slips, with the spelling that is meant.
        ("Mon-Fri 9am-5:30pm", "the name 'Mon' is not known", "Mo-Fr 09:00-17:30"),
        ("Monday to Friday 09:00-17:00", "the name 'Monday' is not known", "Mo-Fr 09:00-17:00"),
        ("Mo-Fr 0900-1730", "a number is not expected here", "Mo-Fr 09:00-17:30"),
        ("Mo-Fr 12am-12pm", "a number is not expected here", "Mo-Fr 00:00-12:00"),
        ("weekdays 09:00-17:00; weekends off", "is not known", "Mo-Fr 09:00-17:00; Sa,Su off"),
        ("Mo-Fr 09:00-17:00; public holidays off", "is not known", "Mo-Fr 09:00-17:00; PH off"),
        ("december 24 off", "is not known", "Dec 24 off"),
        ("Mo-Fr, 09:00-17:00", "no times", "Mo-Fr 09:00-17:00"),
        ("09:00-17:00 Mo-Fr", "must be followed by a comma or a semicolon", "Mo-Fr 09:00-17:00"),
        ("Mo-Fr 09:00-17:00 Sa 10:00-14:00", "must be followed by", "Mo-Fr 09:00-17:00; Sa 10:00-14:00"),
        ("Mo-Fr 09:00-12:00 13:00-17:00", "must be followed by", "Mo-Fr 09:00-12:00,13:00-17:00"),
        ("Mo-Fr 24/7", "24/7 stands alone", "Mo-Fr 00:00-24:00"),
        ("00:00+", "00:00-24:00", "00:00-24:00"),
        ("PH -1 day,Su off", "after the weekdays", "Su,PH -1 day off"),
        # What has no one spelling that must be meant: the message says what to write.
        ("Mo-Fr 12:00-6:00", "write 18:00, or 06:00 for the next day", None),
        ("10:00", "10:00 alone is a point in time", None),
        ("Mo-Fr 10:00-12:00/30", "points in time", "Mo-Fr 10:00-12:00"),
        ("sunrise-sunset", "needs a place on earth", None),
        ("(sunrise+01:00)-20:00", "needs a place on earth", None),
        ("SH off", "school holidays", None),
        ("Mar Su[-1]-Oct Su[-1] off", "programs disagree", None),
        # In 2028 Easter is on April 16, and from Jan 01 to Apr 10 it would be closed, too.
        ("easter-Apr 10 off", "ends before it begins in some years, such as 2028", None),
        ("Nov Th[-1]-Nov 29 off", "ends before it begins in some years, such as 2028", None),
        ("Dec 25-easter off", "programs disagree", None),
        ("Dec 24,Mar Su[-1] off", "would belong to all dates", None),
        ("17:00+,18:00-19:00", "an open end can only be the last", None),
        ("Mo, Dec 24 off", "no times", None),
        ("Mo-Fr PH off", "write Mo-Fr,PH", None),
        ("2026 Dec 24-Jan 2 off", "give the year of both ends or of none", None),
        ("2027 Jan 5-2026 Dec 1", "does not go forward", None),
        ("2027-2026 Mo", "does not go forward", None),
        ("Dec 26-24", "does not go forward", None),
        ("week 50-2 Mo", "write week 50-53,1-2", None),
        ("week 54", "weeks are numbered 1 to 53", None),
        ("2026-2030/0", "every 0th does not exist", None),
        ("Mo[6]", "counted 1 to 5", None),
        ("Mo[0]", "counted 1 to 5", None),
        ("Mo[1] +8 days", "moved by 1 to 6 days", None),
        ("easter -100 days", "can fall into another year", None),
        ("25:00-26:00", "a span starts before 24:00", None),
        ("10:00-48:30", "hours go to 24:00", None),
        ("23:00-22:00+", "a span ends at most 24 hours after", None),
        ("10:60-11:00", "minutes 00 to 59", None),
        ("Feb 30", "Feb 30 does not exist", None),
        ("12345", "no time, day or year", None),
        ("Mo-Fr 09:00-17:00; ; Sa", "is not expected here", None),
        ("Mo-Fr 09:00-17:00 ||", "days or times are missing", None),
        ("Mo-We-Fr", "is not expected here", None),
        ("Mo[1", "a closing bracket is expected", None),
        ('Mo "unclosed', "is not expected here", None),
        ("täglich 10:00-12:00", "the name 'täglich' is not known", None),
    ],
)
def test_refused_values_and_what_to_write(value: str, message: str, suggestion: str | None) -> None:
    (problem,) = check_hours(value, "ES")
    assert message in problem.message
    assert problem.suggestion == suggestion
    if suggestion is not None:
        assert check_hours(suggestion, "ES") == []
    else:
        assert "write" in problem.message or "such as" in problem.message or "does not exist" in problem.message


def test_a_message_says_where() -> None:
    (problem,) = check_hours("Mo-Fr 09:00-17:00; Sa 9-12", None)
    assert "at character 23 ('9-12')" in problem.message
    (problem,) = check_hours("Mo-Fr 09:00-", None)
    assert "at its end" in problem.message


WORDS = (
    *("Mo", "Tu-Th", "Fr-Mo", "PH", "PH -1 day", "Su[-1]", "Mo[1,3]", "Dec 24", "Dec 24-26", "Nov-Feb", "Feb 29"),
    *("easter", "easter -2 days", "2026", "2026-2028", "week 10-20/2", "09:00-17:00", "22:00-06:00", "17:00+"),
    *("24/7", "off", "open", "unknown", '"by appointment"', ",", ", ", ";", " || ", ":", "-", "+", "/", "10:00", "x"),
)


@settings(deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=8).map(" ".join))
def test_the_usual_spelling_means_the_same(value: str) -> None:
    try:
        parsed = parse(value)
    except HoursError:
        return
    assert parse(str(parsed)) == parsed
    assert str(parse(str(parsed))) == str(parsed)


@settings(deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=8).map(" ".join))
def test_a_refusal_points_into_the_value_and_suggests_what_is_accepted(value: str) -> None:
    for problem in check_hours(value, "ES"):
        assert problem.path == "active_hours"
        assert "at character" in problem.message or "at its end" in problem.message
        assert problem.suggestion is None or check_hours(problem.suggestion, "ES") == []
