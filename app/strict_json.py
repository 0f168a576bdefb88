"""Reads and compares JSON as RFC 8259 defines it, and says which of it both databases can hold.

Python's `json` also takes `NaN` and `Infinity`. JSON text may escape NUL and halves of surrogate pairs; PostgreSQL
stores neither.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Callable
from typing import Any, Final

from app.translation import translatable

MAX_DEPTH: Final = 100
"""Levels of nesting accepted from outside; LiveKit's own messages have fewer than ten."""

UNSTORABLE_MESSAGE: Final = translatable("contains a NUL character or half of a surrogate pair")
STORABLE_PATTERN: Final = r"^[^\x00]*$"
"""For JSON Schema: text without NUL. Text decoded from UTF-8 has no halves of surrogate pairs."""

_SHOWN_DEPTH: Final = MAX_DEPTH + 2
"""Levels of a stored value that are shown: what encodes answers and files takes no more than about 250."""
_UNSTORABLE: Final = re.compile("[\0\ud800-\udfff]")


class JsonError(ValueError):
    """The text is not JSON in UTF-8; `line` and `column` say where, if that is known."""

    def __init__(self, reason: str, line: int | None = None, column: int | None = None) -> None:
        self.reason = reason
        self.line = line
        self.column = column
        super().__init__(f"line {line}, column {column}: {reason}" if line is not None else reason)


def parse_json(text: str | bytes, *, make_object: Callable[[list[tuple[str, Any]]], Any] | None = None) -> Any:
    """Return the value of a JSON text; JsonError when it is none.

    A number that no float can hold (`1e999`) becomes infinite: the check of a rule reports it with its path.
    `make_object` builds objects from their members, as `object_pairs_hook` of `json.loads` does.
    """
    if make_object is None:
        return _decode(_DECODER, text)
    return _decode(json.JSONDecoder(object_pairs_hook=make_object, parse_constant=_refuse_constant), text)


def _decode(decoder: json.JSONDecoder, text: str | bytes) -> Any:
    try:
        return decoder.decode(text.decode("utf-8") if isinstance(text, bytes) else text)
    except json.JSONDecodeError as error:
        raise JsonError(error.msg, error.lineno, error.colno) from error
    except UnicodeDecodeError as error:
        raise JsonError(translatable("not UTF-8")) from error
    except RecursionError as error:
        raise JsonError(translatable("nested too deeply")) from error
    except JsonError:
        raise
    except ValueError as error:  # of an integer: Python says how programs raise its limit
        most = sys.get_int_max_str_digits()
        raise JsonError(translatable("a whole number has more than %(most)s digits", most=most)) from error


def parse_storable_json(text: str | bytes) -> Any:
    """Return the value of a JSON text, with NUL and halves of surrogate pairs replaced by U+FFFD.

    JsonError for what `parse_json` refuses, for numbers that no float can hold, and for more than `MAX_DEPTH` levels of
    nesting.
    """
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError as error:
            raise JsonError(translatable("not UTF-8")) from error
    value = _decode(_FINITE_DECODER, text)
    # Counting is fast, and nothing is nested deeper than it has brackets.
    if text.count("{") + text.count("[") > MAX_DEPTH and _is_too_deep(value):
        raise JsonError(translatable("nested deeper than %(most)s levels", most=MAX_DEPTH))
    # Looking for the escapes first avoids the walk: a raw NUL is not JSON, a raw surrogate not UTF-8.
    return storable(value) if "\\u0000" in text or "\\ud" in text or "\\uD" in text else value


def parse_stored_json(text: str | bytes | float) -> Any:
    """Return the value of a JSON text that plain SQL may have stored, in a form that can be shown and sent.

    SQLite keeps a bare number as one, which stands for itself.

    A number that cannot be read becomes its text, and what is nested deeper than `_SHOWN_DEPTH` levels an ellipsis. A
    text with half of a surrogate pair has U+FFFD in its place, and in place of NUL. JsonError when the text is no JSON.
    """
    if isinstance(text, int | float):
        return text if math.isfinite(text) else str(text)
    text = text if isinstance(text, str) else bytes(text).decode("utf-8", "replace")
    value = _decode(_SHOWING_DECODER, text)
    if text.count("{") + text.count("[") > _SHOWN_DEPTH:
        value = _cut(value, _SHOWN_DEPTH)
    return without_halves(value, text)


def without_halves(value: Any, text: str) -> Any:
    """Return the value of a JSON `text`, as `storable` copies it if the text may escape half of a surrogate pair."""
    return storable(value) if "\\ud" in text or "\\uD" in text else value


def is_storable(text: str) -> bool:
    """Return whether both databases can hold `text`: it has no NUL and no half of a surrogate pair."""
    return _UNSTORABLE.search(text) is None


def storable(value: Any) -> Any:
    """Return a copy of a JSON value in which U+FFFD replaces NUL and halves of surrogate pairs."""
    if isinstance(value, str):
        return value.replace("\0", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {storable(name): storable(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [storable(entry) for entry in value]
    return value


def same_json(one: Any, other: Any) -> bool:
    """Compare as JSON does: true is not 1, the order of keys does not count, 3 and 3.0 are one number."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same_json(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same_json, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _refuse_constant(name: str) -> None:
    raise JsonError(translatable("%(name)s is not a JSON value", name=name))


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise JsonError(translatable("%(digits)s is larger than a float can hold", digits=digits[:40]))
    return number


def _finite_or_text(digits: str) -> float | str:
    number = float(digits)
    return number if math.isfinite(number) else digits


def _int_or_text(digits: str) -> int | str:
    try:
        return int(digits)
    except ValueError:  # Python reads 4,300 digits: the time grows with the square of their number
        return digits


# Made once: `json.loads` with these arguments would make one for every call.
_DECODER: Final = json.JSONDecoder(parse_constant=_refuse_constant)
_FINITE_DECODER: Final = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite)
_SHOWING_DECODER: Final = json.JSONDecoder(
    parse_constant=_refuse_constant, parse_float=_finite_or_text, parse_int=_int_or_text
)


def _cut(value: Any, levels: int) -> Any:
    """Return a copy of a JSON value with an ellipsis in place of each container below so many levels of them."""
    if not isinstance(value, dict | list):
        return value
    if not levels:
        return "…"
    if isinstance(value, dict):
        return {name: _cut(entry, levels - 1) for name, entry in value.items()}
    return [_cut(entry, levels - 1) for entry in value]


def _is_too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            entry
            for container in level
            if isinstance(container, dict | list)
            for entry in (container.values() if isinstance(container, dict) else container)
        ]
        if not level:
            return False
    return any(isinstance(entry, dict | list) for entry in level)
