"""The values of a row as one line of text, separated by commas: `es, ca`.

A value in double quotes is a text as JSON writes it. Without quotes, `300`, `true`, `false` and `null` are what they
are in JSON, unless the field or the operator takes nothing but texts; all else is a text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from app.rules.rows.operator import Takes
from app.strict_json import JsonError, is_storable, parse_json
from app.translation import translatable

_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_WORDS: Final = {"true": True, "false": False, "null": None}
_QUOTED: Final = re.compile(r'"(?:[^"\\]|\\.)*"')
_BETWEEN: Final = re.compile(r"\s*(?:,|\.\.|…|–|\band\b|\bto\b)\s*")


class ValueTextError(ValueError):
    """The text holds no such values; the message says why."""


def write_values(values: Sequence[Any], *, takes: Takes, is_text: bool) -> str:
    """Return values as text; `is_text`: the field holds nothing but texts."""
    texts_only = is_text or takes is Takes.TEXTS
    return ", ".join(_write(value, texts_only=texts_only) for value in values)


def read_values(text: str, *, takes: Takes, is_text: bool) -> tuple[Any, ...]:
    """Return the values that a text holds; ValueTextError if it does not hold what the operator takes."""
    match takes:
        case Takes.NOTHING:
            return ()
        case Takes.NUMBER:
            return (_read_number(text.strip()),)
        case Takes.BOUNDS:
            bounds = _BETWEEN.split(text.strip())
            if len(bounds) != 2:
                raise ValueTextError(translatable("takes two numbers, such as 5, 10"))
            return tuple(map(_read_number, bounds))
        case Takes.VALUES | Takes.TEXTS:
            values = tuple(_read_list(text, texts_only=is_text or takes is Takes.TEXTS))
            if not values:
                raise ValueTextError(translatable("needs at least one value"))
            return values


def _write(value: Any, *, texts_only: bool) -> str:
    if not isinstance(value, str):
        return json.dumps(value)
    is_plain = value.isprintable() and value == value.strip() and value and "," not in value and value[0] != '"'
    if is_plain and (texts_only or not (value in _WORDS or _NUMBER.fullmatch(value))):
        return value
    return json.dumps(value, ensure_ascii=not is_storable(value))


def _read_list(text: str, *, texts_only: bool) -> Iterator[Any]:
    place, rest = 0, text.strip()
    while place < len(rest):
        if rest[place] in ", \t\r\n":
            place += 1
            continue
        if rest[place] == '"':
            quoted = _QUOTED.match(rest, place)
            if quoted is None:
                raise ValueTextError(
                    translatable("has a quotation mark without its end: %(rest)s", rest=rest[place : place + 30])
                )
            place = quoted.end()
            after = rest[place:].lstrip()
            if after and after[0] != ",":
                raise ValueTextError(
                    translatable("needs a comma between the values, before %(after)s", after=after[:30])
                )
            yield _read_json(quoted[0])
            continue
        end = rest.find(",", place)
        end = len(rest) if end < 0 else end
        yield _read_plain(rest[place:end].strip(), texts_only=texts_only)
        place = end


def _read_plain(text: str, *, texts_only: bool) -> Any:
    if texts_only:
        return text
    if text in _WORDS:
        return _WORDS[text]
    return _read_json(text) if _NUMBER.fullmatch(text) else text


def _read_number(text: str) -> Any:
    if not _NUMBER.fullmatch(text):
        raise ValueTextError(
            translatable("takes a number, such as 5 or 2.5, not %(text)s", text=text[:30])
            if text
            else translatable("needs a number")
        )
    return _read_json(text)


def _read_json(text: str) -> Any:
    try:
        return parse_json(text)
    except JsonError as error:
        raise ValueTextError(
            translatable("has a value that cannot be read: %(reason)s", reason=error.reason)
        ) from error
