"""The phone numbers of a call in E.164 (`+34600111222`), whichever way they were sent.

LiveKit passes on what the trunk says: `+1555…`, `1555…`, `0034…`, `sip:+1555…@host`, `anonymous`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final
from urllib.parse import unquote

from app.livekit.attributes import PHONE_NUMBER, TRUNK_NUMBER

_E164: Final = re.compile(r"\+[1-9][0-9]{6,14}")
_SCHEME: Final = re.compile(r"(?:sips?|tel):", re.IGNORECASE)
_SEPARATORS: Final = re.compile(r"[\s().\-/]+")
_NORTH_AMERICAN: Final = re.compile(r"1[2-9][0-9]{9}")
_LONGEST: Final = 128
"""A longer text is no phone number, and is not kept in the cache."""


class Direction(StrEnum):
    """`participant.phone.direction`, as we see it."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"


class _Region:
    """The country of numbers that name none (ISO 3166, `ES`); empty: such numbers are left out."""

    name = ""


def use_phone_region(region: str) -> None:
    """Set the country of numbers that name none, for this process (`USHER_PHONE_REGION`)."""
    _Region.name = region


def phone_of(attributes: Mapping[str, Any], *, outbound: bool) -> dict[str, str] | None:
    """Return `participant.phone` of a phone call: who called which number; None if neither is known.

    `outbound`: the participant was dialled. A number that LiveKit hides, or that cannot be written in E.164 (an
    extension), is left out.
    """
    far, ours = number_in(attributes.get(PHONE_NUMBER)), number_in(attributes.get(TRUNK_NUMBER))
    if not far and not ours:
        return None
    caller, called = (ours, far) if outbound else (far, ours)
    direction = Direction.OUTBOUND if outbound else Direction.INBOUND
    numbers = {"caller": caller, "called": called, "direction": direction.value}
    return {name: text for name, text in numbers.items() if text}


def number_in(number: Any) -> str:
    """Return a phone number in any spelling in E.164, in the country of this process; empty if it is none."""
    return e164(number, _Region.name) if isinstance(number, str) and 0 < len(number) <= _LONGEST else ""


def written_forms(number: str) -> set[str]:
    """Return the texts that a number in E.164 is often written as, national ones too."""
    import phonenumbers  # noqa: PLC0415 - see `_from_digits`

    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return {number}
    formats = phonenumbers.PhoneNumberFormat
    written = {
        str(phonenumbers.format_number(parsed, form))
        for form in (formats.E164, formats.INTERNATIONAL, formats.NATIONAL, formats.RFC3966)
    }
    return written | {number, number.removeprefix("+"), str(phonenumbers.national_significant_number(parsed))}


def national_digits(number: str) -> str:
    """Return the digits of a number in E.164 without those of its country; empty if they cannot be divided."""
    import phonenumbers  # noqa: PLC0415 - see `_from_digits`

    try:
        return str(phonenumbers.national_significant_number(phonenumbers.parse(number)))
    except phonenumbers.NumberParseException:
        return ""


@lru_cache(maxsize=4096)
def e164(number: str, region: str = "") -> str:
    """Return a phone number in E.164; empty if it is none, or names no country and neither does `region`."""
    if _E164.fullmatch(number):
        return number
    text = _SCHEME.sub("", number.strip(), count=1).partition("@")[0].partition(";")[0]
    text = _SEPARATORS.sub("", unquote(text))
    if text.startswith("00") and not region:
        text = f"+{text[2:]}"
    if _E164.fullmatch(text):
        return text
    return _from_digits(text, region) if text.isascii() and text.isdecimal() else ""


def _from_digits(digits: str, region: str) -> str:
    """Return the number that the digits are in `region`, else the one that lacks its plus sign.

    A valid number comes before one that is only possible: digits may be a possible number of several countries.
    """
    # Imported where it is needed: it costs 50 ms and 5 MB, and most numbers are in E.164 already.
    import phonenumbers  # noqa: PLC0415

    read: dict[str, Any] = {}
    for name, text, country in (("national", digits, region or None), ("international", f"+{digits}", None)):
        with suppress(phonenumbers.NumberParseException):
            read[name] = phonenumbers.parse(text, country)
    chosen = next(filter(phonenumbers.is_valid_number, read.values()), None)
    if chosen is None and "national" in read and phonenumbers.is_possible_number(read["national"]):
        chosen = read["national"]
    if chosen is None and _NORTH_AMERICAN.fullmatch(digits):  # 555 and other ranges that are not assigned
        chosen = read.get("international")
    return str(phonenumbers.format_number(chosen, phonenumbers.PhoneNumberFormat.E164)) if chosen is not None else ""
