"""Parses what follows a day: its number in the month, days to move it by, steps."""

from __future__ import annotations

from app.rules.conditions.hours.lexer import HoursError, Kind
from app.rules.conditions.hours.token_stream import TokenStream
from app.translation import translatable


def parse_nths(stream: TokenStream) -> tuple[int, ...]:
    """Return the numbers of `[1]`, `[1-2,-1]`."""
    stream.expect("[", translatable("a bracket is expected, such as Mo[1]"))
    nths: list[int] = []
    while True:
        at = stream.next.at
        sign = -1 if stream.accept("-") else 1
        message = translatable("a number is expected in brackets, such as Mo[1] or Mo[-1]")
        first = sign * stream.expect(Kind.NUMBER, message).number
        last = first
        if sign == 1 and stream.accept("-"):
            last = stream.expect(Kind.NUMBER, translatable("a number is expected in brackets, such as Mo[1-2]")).number
        if not 1 <= abs(first) <= 5 or not first <= last <= 5:
            raise HoursError(translatable("weekdays of a month are counted 1 to 5, or -1 to -5 from its end"), at)
        nths += range(first, last + 1)
        if not stream.accept(","):
            stream.expect("]", translatable("a closing bracket is expected, such as Mo[1]"))
            return tuple(nths)


def parse_offset(stream: TokenStream, most: int) -> int:
    """Return the days of ` -2 days`; 0, and nothing taken, where none follow."""
    for sign, factor in (("+", 1), ("-", -1)):
        if stream.sees(sign, Kind.NUMBER, Kind.DAYS):
            stream.take()
            days = stream.take()
            stream.take()
            if not 1 <= days.number <= most:
                raise HoursError(translatable("a day is moved by 1 to %(most)s days here", most=most), days.at)
            return factor * days.number
    return 0


def parse_step(stream: TokenStream) -> int:
    """Return the number after a slash, as of `week 2-52/2`."""
    token = stream.expect(Kind.NUMBER, translatable("a number is expected after /, such as week 2-52/2"))
    if token.number < 1:
        raise HoursError(translatable("every 0th does not exist; steps begin with 2"), token.at)
    return token.number
