"""From the text of an opening-hours value to its clauses; the grammar is on the page app/rules/CONDITIONS.md."""

from __future__ import annotations

from typing import Final

from app.rules.conditions.hours.clauses import DAY, Clause, OpeningHours, State, Times
from app.rules.conditions.hours.date_parser import (
    parse_dates,
    parse_holidays,
    parse_weekdays,
    parse_weeks,
    parse_years,
    starts_dated_day,
)
from app.rules.conditions.hours.lexer import HoursError, Kind, Token, tokenize
from app.rules.conditions.hours.selectors import DateSelector, PublicHolidays
from app.rules.conditions.hours.token_stream import TokenStream
from app.translation import translatable

_STATES: Final = {"open": State.OPEN, "closed": State.CLOSED, "off": State.CLOSED, "unknown": State.UNKNOWN}
_DATES: Final = frozenset({Kind.YEAR, Kind.MONTH, Kind.EASTER, Kind.WEEK})
_DAYS: Final = frozenset({Kind.WEEKDAY, Kind.PH, Kind.SH})
_STARTS: Final = _DATES | _DAYS | {Kind.TIME, Kind.SUN, Kind.ALWAYS}


def parse(value: str) -> OpeningHours:
    """Return the clauses of `value`. Raises HoursError with the first thing that is wrong with it."""
    stream = TokenStream(tokenize(value))
    clauses: list[Clause] = []
    is_fallback = is_additional = False
    while True:
        clauses.append(_clause(stream, is_fallback=is_fallback, is_additional=is_additional))
        is_additional = False
        separator = stream.take()
        if separator.kind is Kind.END:
            break
        if separator.kind is Kind.FALLBACK:
            is_fallback = True
        elif separator.text == ";" and separator.kind is Kind.SYMBOL:
            is_fallback = False
            if stream.sees(Kind.END):
                break
        elif separator.text == "," and separator.kind is Kind.SYMBOL:
            if not clauses[-1].times and stream.tokens[stream.position - 2].kind not in {Kind.STATE, Kind.COMMENT}:
                # opening_hours.js refuses it, too; other programs would take it for "open all day".
                message = translatable("the days before this comma have no times; write them, or remove the comma")
                raise HoursError(message, separator.at)
            is_additional = True
        else:
            raise _unexpected(separator)
    return OpeningHours(tuple(clauses))


def _clause(stream: TokenStream, *, is_fallback: bool, is_additional: bool) -> Clause:
    start = stream.position
    years = parse_years(stream) if stream.sees(Kind.YEAR) and not starts_dated_day(stream) else ()
    dates = parse_dates(stream) if stream.next.kind in {Kind.YEAR, Kind.MONTH, Kind.EASTER} else ()
    weeks = parse_weeks(stream) if stream.sees(Kind.WEEK) else ()
    _skip_colon(stream, start)
    holidays, weekdays = _weekdays(stream)
    _skip_colon(stream, start)
    is_always = stream.position == start and stream.sees(Kind.ALWAYS)
    if is_always:
        stream.take()
    times = () if is_always else _times(stream)
    has_selector = stream.position > start
    state, comment = _modifier(stream)
    if stream.position == start:
        raise _unexpected(stream.next)
    if stream.next.kind in _STARTS or (stream.sees(":") and has_selector):
        raise _missing_separator(stream.next, has_times=bool(times) or is_always)
    return Clause(years, dates, weeks, holidays, weekdays, times, is_always, state, comment, is_additional, is_fallback)


def _skip_colon(stream: TokenStream, start: int) -> None:
    """Take the colon that may stand after days for readability: `Nov-Feb: Mo-Fr 09:00-17:00`."""
    follows = stream.after_next.kind
    if stream.position > start and stream.sees(":") and (follows in _DAYS or follows in {Kind.TIME, Kind.STATE}):
        stream.take()


def _weekdays(stream: TokenStream) -> tuple[tuple[PublicHolidays, ...], tuple[DateSelector, ...]]:
    """Return holidays that weekdays restrict (`PH Mo-Fr`), and the days of which one must match (`PH,Mo-Fr`)."""
    if stream.next.kind not in _DAYS:
        return (), ()
    back = stream.position
    if stream.sees(Kind.PH):
        holidays = parse_holidays(stream)
        if stream.sees(Kind.WEEKDAY):
            return holidays, parse_weekdays(stream)
        if holidays[-1].offset and stream.sees(",", Kind.WEEKDAY):
            message = translatable("write holidays that are moved by days after the weekdays, such as Su,PH -1 day")
            raise HoursError(message, stream.next.at, is_syntax=False)
        stream.position = back
    weekdays = parse_weekdays(stream)
    if stream.next.kind in _DAYS:
        token = stream.next
        message = translatable(
            "a comma is missing; write Mo-Fr,PH for all these days, or PH Mo-Fr for holidays on such weekdays"
        )
        raise HoursError(message, token.at)
    return (), weekdays


def _times(stream: TokenStream) -> tuple[Times, ...]:
    times: list[Times] = []
    while stream.next.kind in {Kind.TIME, Kind.SUN} or stream.sees("(", Kind.SUN):
        times.append(_time_entry(stream))
        if not (stream.sees(",", Kind.TIME) or stream.sees(",", Kind.SUN) or stream.sees(",", "(")):
            break
        if times[-1].open_end:
            message = translatable(
                "an open end can only be the last of several times; write when it ends, such as 17:00-22:00"
            )
            raise HoursError(message, stream.next.at)
        stream.take()
    return tuple(times)


def _time_entry(stream: TokenStream) -> Times:
    start = _time(stream)
    if start.number >= DAY:
        message = translatable("a span starts before 24:00; give it the weekday on which it starts")
        raise HoursError(message, start.at)
    if stream.sees("+"):
        if start.number == 0:
            message = translatable("an open end from midnight on could mean the whole day; then write 00:00-24:00")
            raise HoursError(message, start.at, is_syntax=False)
        stream.take()
        return Times(start.number, None, open_end=True)
    if not stream.accept("-"):
        message = translatable(
            "%(text)s alone is a point in time; a rule needs a span, such as %(text)s-18:00", text=start.text
        )
        raise HoursError(message, start.at, is_syntax=False)
    end = _time(stream)
    _check_end(start, end)
    if stream.sees("/"):
        message = translatable(
            "points in time (a span with /interval) cannot be a rule's hours; leave the interval out"
        )
        raise HoursError(message, stream.next.at, is_syntax=False)
    times = Times(start.number, end.number, open_end=stream.accept("+"))
    if max(span.end for span in times.spans()) > 2 * DAY:
        raise HoursError(translatable("a span ends at most 24 hours after the midnight that follows it"), end.at)
    return times


def _check_end(start: Token, end: Token) -> None:
    """Refuse `12:00-6:00`: written with one digit, an hour that goes over midnight is more often 18:00 than 06:00."""
    is_one_digit = len(end.text) == len("6:00")
    if is_one_digit and end.number <= start.number:
        afternoon = f"{end.number // 60 + 12:02}:{end.number % 60:02}"
        message = translatable(
            "%(end)s is before %(start)s; write %(afternoon)s, or 0%(end)s for the next day",
            end=end.text,
            start=start.text,
            afternoon=afternoon,
        )
        raise HoursError(message, end.at)


def _time(stream: TokenStream) -> Token:
    sun = stream.after_next if stream.sees("(") else stream.next
    if sun.kind is Kind.SUN:
        message = translatable(
            "%(text)s needs a place on earth, which a rule does not have; write times of day, such as 08:00-20:00",
            text=sun.text,
        )
        raise HoursError(message, sun.at, is_syntax=False)
    return stream.expect(Kind.TIME, translatable("a time is expected, such as 09:00-17:00"))


def _modifier(stream: TokenStream) -> tuple[State, str | None]:
    """Return the state and comment; a comment alone means unknown."""
    if stream.sees(Kind.STATE):
        state = _STATES[stream.take().text.casefold()]
        return state, stream.take().text if stream.sees(Kind.COMMENT) else None
    if stream.sees(Kind.COMMENT):
        return State.UNKNOWN, stream.take().text
    return State.OPEN, None


def _unexpected(token: Token) -> HoursError:
    if token.kind is Kind.END:
        return HoursError(translatable("days or times are missing"), token.at)
    if token.kind is Kind.NUMBER:
        return HoursError(translatable("a number is not expected here; times have minutes, such as 09:00"), token.at)
    if token.kind is Kind.OTHER and len(token.text) > 1:
        return HoursError(
            translatable(
                "the name %(text)s is not known; days are Mo to Su, months Jan to Dec", text=repr(token.text[:20])
            ),
            token.at,
        )
    return HoursError(translatable("%(text)s is not expected here", text=repr(token.text[:20])), token.at)


def _missing_separator(token: Token, *, has_times: bool) -> HoursError:
    if token.kind is Kind.ALWAYS:
        return HoursError(translatable("24/7 stands alone; for all day on some days write 00:00-24:00"), token.at)
    if has_times or token.kind is Kind.TIME:
        return HoursError(translatable("the times before this must be followed by a comma or a semicolon"), token.at)
    message = translatable(
        "the order is years, months and dates, weeks, weekdays, times; else write a semicolon between them"
    )
    return HoursError(message, token.at)
