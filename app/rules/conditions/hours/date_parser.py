"""Parsers of the date selectors: years, months and dates, weeks, weekdays and public holidays."""

from __future__ import annotations

from typing import Final

from app.rules.conditions.hours.date_parts import parse_nths, parse_offset, parse_step
from app.rules.conditions.hours.lexer import HoursError, Kind, Token
from app.rules.conditions.hours.selectors import (
    MONTHS,
    Anchor,
    DateSelector,
    DayRange,
    Easter,
    MonthDay,
    Months,
    NthWeekdayOfMonth,
    NthWeekdays,
    PublicHolidays,
    SingleDay,
    Weekdays,
    Weeks,
    Years,
)
from app.rules.conditions.hours.token_stream import TokenStream
from app.translation import translatable

_LONGEST_MONTHS: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_LAST_WEEK: Final = 53
_MOST_DAYS_FROM_WEEKDAY: Final = 6
_MOST_DAYS_FROM_HOLIDAY: Final = 7
# Easter Sunday is the 81st to 116th day of a year; beyond these it would leave its year.
_EASTER_OFFSETS: Final = range(-80, 201)
# In a century, easter and counted weekdays have been nearly as early and as late as they can be.
_CENTURY: Final = range(2026, 2126)


def starts_dated_day(stream: TokenStream) -> bool:
    """Return whether a year follows that belongs to one date (`2026 Dec 24`) rather than to a list of years."""
    return stream.sees(Kind.YEAR, Kind.MONTH, Kind.NUMBER) or stream.sees(Kind.YEAR, Kind.EASTER)


def parse_years(stream: TokenStream) -> tuple[DateSelector, ...]:
    """Return the years of `2026,2028-2030`."""
    years: list[DateSelector] = []
    while True:
        first = stream.expect(Kind.YEAR, translatable("a year is expected, such as 2027"))
        last: int | None = first.number
        step = 1
        if stream.sees("-", Kind.YEAR):
            stream.take()
            token = stream.take()
            if token.number <= first.number:
                raise HoursError(
                    translatable("%(first)s-%(last)s does not go forward", first=first.text, last=token.text), token.at
                )
            last = token.number
        elif stream.accept("+"):
            last = None
        if stream.accept("/"):
            step = parse_step(stream)
            last = last if last != first.number else None
        years.append(Years(first.number, last, step))
        if not (stream.sees(",", Kind.YEAR)):
            return tuple(years)
        stream.take()


def parse_dates(stream: TokenStream) -> tuple[DateSelector, ...]:
    """Return the months and dates of `Jan-Mar,Dec 24,26-28,easter -2 days`."""
    dates: list[DateSelector] = []
    while True:
        dates += _date_entry(stream)
        if not stream.sees(","):
            return tuple(dates)
        after = stream.after_next.kind
        if after not in {Kind.MONTH, Kind.YEAR, Kind.EASTER}:
            return tuple(dates)
        stream.take()
        if stream.sees(Kind.MONTH, Kind.WEEKDAY, "[") and not all(isinstance(entry, Months) for entry in dates):
            message = translatable(
                "a counted weekday would belong to all dates of this list; write a semicolon instead"
            )
            raise HoursError(message, stream.next.at)


def parse_weeks(stream: TokenStream) -> tuple[DateSelector, ...]:
    """Return the weeks of `week 1-10,20-52/2`."""
    stream.expect(Kind.WEEK, "week is expected")
    weeks: list[DateSelector] = []
    while True:
        first = stream.expect(Kind.NUMBER, translatable("the number of a week is expected, such as week 10-20"))
        last, step = first, 1
        if stream.accept("-"):
            last = stream.expect(Kind.NUMBER, translatable("the number of a week is expected, such as week 10-20"))
            if stream.accept("/"):
                step = parse_step(stream)
        if not 1 <= first.number <= _LAST_WEEK or not 1 <= last.number <= _LAST_WEEK:
            raise HoursError(translatable("weeks are numbered 1 to 53"), first.at)
        if last.number < first.number:
            message = translatable(
                "weeks go forward within a year; write week %(first)s-53,1-%(last)s",
                first=first.number,
                last=last.number,
            )
            raise HoursError(message, first.at)
        weeks.append(Weeks(first.number, last.number, step))
        if not (stream.sees(",", Kind.NUMBER) or stream.sees(",", Kind.WEEK)):
            return tuple(weeks)
        stream.take()
        if stream.sees(Kind.WEEK):
            stream.take()


def parse_holidays(stream: TokenStream) -> tuple[PublicHolidays, ...]:
    """Return the holidays of `PH` or `PH,PH -1 day`, whose days must also match the weekdays that follow."""
    found: list[PublicHolidays] = []
    while True:
        found.append(_public_holidays(stream))
        if not stream.sees(",", Kind.PH):
            return tuple(found)
        stream.take()


def parse_weekdays(stream: TokenStream) -> tuple[DateSelector, ...]:
    """Return the days of `Mo-Fr,Su[1,-1],PH`."""
    days: list[DateSelector] = []
    while True:
        if stream.sees(Kind.PH) or stream.sees(Kind.SH):
            days.append(_public_holidays(stream))
        else:
            days.append(_weekday_entry(stream))
        if not (stream.sees(",", Kind.WEEKDAY) or stream.sees(",", Kind.PH) or stream.sees(",", Kind.SH)):
            return tuple(days)
        stream.take()


def _weekday_entry(stream: TokenStream) -> DateSelector:
    first = stream.expect(Kind.WEEKDAY, translatable("a weekday is expected: Mo, Tu, We, Th, Fr, Sa, Su or PH"))
    if stream.sees("["):
        nths = parse_nths(stream)
        return NthWeekdays(first.number, nths, parse_offset(stream, _MOST_DAYS_FROM_WEEKDAY))
    last = first
    if stream.accept("-"):
        last = stream.expect(Kind.WEEKDAY, translatable("a range of weekdays ends with a weekday, such as Mo-Fr"))
        if stream.sees("["):
            raise HoursError(
                translatable("only single weekdays can be counted; write for example Mo[1],Tu[1]"), stream.next.at
            )
    return Weekdays(first.number, last.number)


def _public_holidays(stream: TokenStream) -> PublicHolidays:
    token = stream.take()
    if token.kind is Kind.SH:
        message = translatable(
            "SH (school holidays) are not known for any country; write the dates, such as Jul 01-Aug 31"
        )
        raise HoursError(message, token.at, is_syntax=False)
    return PublicHolidays(parse_offset(stream, _MOST_DAYS_FROM_HOLIDAY))


def _date_entry(stream: TokenStream) -> list[DateSelector]:
    if stream.sees(Kind.MONTH) and not stream.sees(Kind.MONTH, Kind.NUMBER):
        nth = _nth_weekday_start(stream)
        return [_range_from(stream, nth)] if nth else [_months(stream)]
    start = stream.next
    year = stream.take().number if stream.sees(Kind.YEAR) else None
    if stream.sees(Kind.EASTER):
        stream.take()
        easter = Easter(parse_offset(stream, max(_EASTER_OFFSETS)), year)
        if easter.offset not in _EASTER_OFFSETS:
            raise HoursError(translatable("easter moved by so many days can fall into another year"), start.at)
        return [_range_from(stream, easter) if stream.sees("-") else SingleDay(easter)]
    month = stream.expect(Kind.MONTH, translatable("a month is expected after the year of a date, such as 2026 Dec 24"))
    return _days_of_month(stream, month, year)


def _months(stream: TokenStream) -> Months:
    first = stream.take()
    if not stream.sees("-"):
        return Months(first.number, first.number)
    dash = stream.take()
    if stream.sees(Kind.YEAR) or stream.sees(Kind.MONTH, Kind.NUMBER):
        month = MONTHS[first.number - 1]
        message = translatable(
            "a range that ends on a date begins on one; write for example %(month)s 01-Dec 31", month=month
        )
        raise HoursError(message, dash.at)
    last = stream.expect(Kind.MONTH, translatable("a range of months ends with a month, such as Nov-Feb"))
    return Months(first.number, last.number)


def _days_of_month(stream: TokenStream, month: Token, year: int | None) -> list[DateSelector]:
    """Return the entries of `Dec 24`, `Dec 24-26/2`, `Dec 24,26-28`, `Dec 24-Jan 02`."""
    days: list[DateSelector] = []
    while True:
        first = _month_day(stream, month, year)
        if stream.sees("-", Kind.NUMBER):
            stream.take()
            token = stream.next
            last = _month_day(stream, month, year)
            if last.day < first.day:
                message = translatable(
                    "%(first)s-%(day)s does not go forward; name the month of its end, too",
                    first=first,
                    day=format(last.day, "02"),
                )
                raise HoursError(message, token.at)
            days.append(DayRange(first, last, parse_step(stream) if stream.accept("/") else 1))
        elif stream.sees("-"):
            days.append(_range_from(stream, first))
        else:
            days.append(SingleDay(first))
        if not stream.sees(",", Kind.NUMBER):
            return days
        stream.take()


def _range_from(stream: TokenStream, first: Anchor) -> DayRange:
    """Return the range whose dash and last day follow."""
    stream.expect("-", translatable("a range of dates goes on with a dash"))
    at = stream.next.at
    if stream.sees(Kind.EASTER) or stream.sees(Kind.YEAR, Kind.EASTER):
        raise _moving_end("easter", at)
    year = stream.take().number if stream.sees(Kind.YEAR) else None
    month = stream.expect(
        Kind.MONTH, translatable("a range of dates ends with a month and a day, such as Dec 24-Jan 02")
    )
    if stream.sees(Kind.WEEKDAY, "["):
        raise _moving_end(f"{MONTHS[month.number - 1]} {stream.next.text}[…]", month.at)
    last = _month_day(stream, month, year)
    if (first.year is None) != (last.year is None):
        message = translatable("give the year of both ends or of none, such as 2026 Dec 24-2027 Jan 02")
        raise HoursError(message, at)
    if first.year is not None and last.year is not None and last.last_day(last.year) < first.first_day(first.year):
        raise HoursError(translatable("%(first)s-%(last)s does not go forward", first=first, last=last), at)
    if first.year is None:
        _refuse_some_years_backward(first, last, at)
    return DayRange(first, last)


def _refuse_some_years_backward(first: Anchor, last: MonthDay, at: int) -> None:
    """Refuse a range that crosses New Year in some years only: in those it would be nearly the whole year."""
    backward = [year for year in _CENTURY if last.last_day(year) < first.first_day(year)]
    if 0 < len(backward) < len(_CENTURY):
        message = translatable(
            "%(first)s-%(last)s ends before it begins in some years, such as %(year)s, and would then be nearly all of "
            "the year; write a later end",
            first=first,
            last=last,
            year=str(backward[0]),
        )
        raise HoursError(message, at, is_syntax=False)


def _month_day(stream: TokenStream, month: Token, year: int | None) -> MonthDay:
    token = stream.expect(
        Kind.NUMBER, translatable("a day of the month is expected, such as %(text)s 24", text=month.text)
    )
    name = MONTHS[month.number - 1]
    if not 1 <= token.number <= _LONGEST_MONTHS[month.number - 1]:
        raise HoursError(
            translatable("%(name)s %(number)s does not exist in any year", name=name, number=token.number),
            token.at,
            is_syntax=False,
        )
    return MonthDay(month.number, token.number, year)


def _nth_weekday_start(stream: TokenStream) -> NthWeekdayOfMonth | None:
    """Return the start of `Oct Su[-1]-Dec 24`; None, and nothing taken, where no range follows."""
    if not stream.sees(Kind.MONTH, Kind.WEEKDAY, "["):
        return None
    back = stream.position
    month, weekday = stream.take(), stream.take()
    nths = parse_nths(stream)
    offset = parse_offset(stream, _MOST_DAYS_FROM_WEEKDAY)
    if len(nths) == 1 and stream.sees("-"):
        return NthWeekdayOfMonth(month.number, weekday.number, nths[0], offset)
    stream.position = back
    return None


def _moving_end(day: str, at: int) -> HoursError:
    message = translatable(
        "programs disagree on whether a range that ends on a moving day (%(day)s) includes that day; end it on a "
        "date, such as Oct 31",
        day=day,
    )
    return HoursError(message, at, is_syntax=False)
