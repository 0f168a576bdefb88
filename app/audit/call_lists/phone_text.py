"""What a text that somebody types says of a phone number: its digits, and how the stored numbers may end."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from app.db.tables import MAX_DIGITS
from app.livekit.participant.phone import national_digits, number_in

LEAST_DIGITS: Final = 4
"""Fewer digits are the end of too many numbers."""
_NUMBER: Final = re.compile(r"(?:(?:sips?|tel):)?[+0-9 .()/\-\u00a0\u2011]+(?:@.*)?", re.IGNORECASE)


def _digits(wanted: str) -> str:
    plain = unicodedata.normalize("NFKC", wanted)  # full width
    wanted = "".join(str(unicodedata.decimal(one, one)) for one in plain)  # of other scripts
    if not _NUMBER.fullmatch(wanted):
        return ""
    return "".join(re.findall("[0-9]", wanted.partition("@")[0]))


def ends_of_numbers(wanted: str) -> list[str]:
    """Return the digits with which the numbers end that a text may mean; none if it has too few."""
    digits = _digits(wanted)
    spelled = [number_in(wanted).removeprefix("+"), digits.removeprefix("00"), digits]
    if digits.startswith("0") and not digits.startswith("00"):
        spelled.append(digits.removeprefix("0"))  # the prefix of national numbers, which E.164 does not have
    if len(digits) < LEAST_DIGITS:
        return []
    ends = sorted({one[-MAX_DIGITS:] for one in spelled if len(one) >= LEAST_DIGITS}, key=len)
    return [one for one in ends if not any(one != shorter and one.endswith(shorter) for shorter in ends)]


def whole_numbers(wanted: str) -> list[str]:
    """Return the national digits of a whole number, since some trunks say numbers without the country."""
    digits = _digits(wanted)
    number = number_in(wanted) if len(digits) >= LEAST_DIGITS else ""
    national = national_digits(number) if number else ""
    return [national, f"0{national}"] if len(national) >= LEAST_DIGITS else []


class SoughtNumbers:
    """The phone numbers that a text may mean, worked out once for all the calls that are compared with it."""

    def __init__(self, wanted: str) -> None:
        self._ends = tuple(ends_of_numbers(wanted))
        self._whole = frozenset(whole_numbers(wanted))

    def has(self, stored: str | None) -> bool:
        """Return whether a stored number is one of them."""
        digits = "".join(one for one in (stored or "").partition("@")[0] if one in "0123456789")
        return bool(digits) and (digits.endswith(self._ends) or digits in self._whole)
