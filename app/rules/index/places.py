"""The places where the index files a condition and looks up a value.

A *place* is a table and a key in it. Every value that satisfies a matcher leads to each of the places that `options`
returns for it, so filing under any one of them is enough; what is found there is verified afterwards.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Hashable
from typing import Any, Final

from app.rules.language.address import read_address
from app.rules.language.matcher import (
    AnythingBut,
    AnythingButLike,
    Exact,
    InNetwork,
    Matcher,
    Numeric,
    OneOf,
    exact_key,
)
from app.rules.language.number import is_comparable, is_number
from app.rules.language.text_matcher import IgnoreCase, Prefix, Suffix, Wildcard

GRAM = 6
"""Characters of a wildcard's piece that are searched anywhere in the value."""
_GRAMS_WEIGHED = 24


class Kind:
    """What a table's keys are. Plain numbers, because an enum's members take long to hash."""

    EXACT = 0
    PREFIX = 1
    SUFFIX = 2
    FOLDED = 3
    FOLDED_PREFIX = 4
    FOLDED_SUFFIX = 5
    NETWORK = 6
    GRAM = 7
    RANGE = 8
    PRESENT = 9
    ABSENT = 10
    ABOVE = 11
    BELOW = 12
    BUT = 13


Table = tuple[int, int]
"""Kind, and what its keys have in common: length, fixed bits, or power of two."""
Place = tuple[Table, Any]

EXACT: Table = (Kind.EXACT, 0)
PRESENT: Place = ((Kind.PRESENT, 0), None)
ABSENT_PLACE: Place = ((Kind.ABSENT, 0), None)
ABOVE: Table = (Kind.ABOVE, 0)
BELOW: Table = (Kind.BELOW, 0)
BUT: Table = (Kind.BUT, 0)
UNSELECTIVE = frozenset({Kind.PRESENT, Kind.ABSENT, Kind.ABOVE, Kind.BELOW, Kind.BUT})
"""Tables whose entries most values lead to."""
_MOST_KEYS = 1_024


def joint_places(matcher: Matcher) -> list[Place] | None:
    """Return the places that a matcher must all be filed under; None where any one of its `options` is enough."""
    if isinstance(matcher, Exact):
        return [(EXACT, matcher.key)]
    if isinstance(matcher, OneOf):
        return [(EXACT, key) for key in matcher.keys] if len(matcher.keys) <= _MOST_KEYS else [PRESENT]
    if isinstance(matcher, Numeric):
        return _numeric_places(matcher)
    if isinstance(matcher, AnythingBut):
        return [(BUT, frozenset((EXACT, key) for key in matcher.keys))]
    if isinstance(matcher, AnythingButLike):
        return [(BUT, frozenset(filter(None, map(_certain_place, matcher.matchers))))]
    return None


def _certain_place(matcher: Matcher) -> Place | None:
    """Return a place that only values which the matcher holds for lead to."""
    return options(matcher)[0] if isinstance(matcher, (Prefix, Suffix)) and matcher.text else None


def _numeric_places(matcher: Numeric) -> list[Place]:
    if matcher.low == matcher.high:
        return [(EXACT, matcher.low)]
    if math.isinf(matcher.high):
        return [(ABOVE, matcher.low)]
    if math.isinf(matcher.low):
        return [(BELOW, -matcher.high)]
    return _range_places(matcher)


def options(matcher: Matcher) -> list[Place]:
    """Return places of which any one is enough for the matcher."""
    if isinstance(matcher, Prefix) and matcher.text:
        return [((Kind.PREFIX, len(matcher.text)), matcher.text)]
    if isinstance(matcher, Suffix) and matcher.text:
        return [((Kind.SUFFIX, len(matcher.text)), matcher.text)]
    if isinstance(matcher, IgnoreCase) and matcher.text.isascii():
        return _folded_options(matcher)
    if isinstance(matcher, InNetwork):
        free = (int.from_bytes(matcher.low, "big") ^ int.from_bytes(matcher.high, "big")).bit_length()
        bits = len(matcher.low) * 8
        return [((Kind.NETWORK, bits * 256 + bits - free), matcher.low)]
    if isinstance(matcher, Wildcard):
        return _wildcard_options(matcher)
    return [PRESENT]


def _folded_options(matcher: IgnoreCase) -> list[Place]:
    folded = matcher.text.lower()
    if matcher.where == "equals":
        return [((Kind.FOLDED, 0), folded)]
    if not folded:
        return [PRESENT]
    kind = Kind.FOLDED_PREFIX if matcher.where == "prefix" else Kind.FOLDED_SUFFIX
    return [((kind, len(folded)), folded)]


def _wildcard_options(matcher: Wildcard) -> list[Place]:
    pieces = matcher.pieces
    if len(pieces) == 1:
        return [(EXACT, pieces[0])]
    places: list[Place] = []
    if pieces[0]:
        places.append(((Kind.PREFIX, len(pieces[0])), pieces[0]))
    if pieces[-1]:
        places.append(((Kind.SUFFIX, len(pieces[-1])), pieces[-1]))
    for piece in pieces:
        size = min(GRAM, len(piece))
        if size and len(places) < _GRAMS_WEIGHED:
            places += [((Kind.GRAM, size), piece[start : start + size]) for start in range(len(piece) - size + 1)]
    return places or [PRESENT]


def _range_places(matcher: Numeric) -> list[Place]:
    """File a range under the one or two cells, of the first power of two not below its width, that it touches."""
    _, power = math.frexp(float(matcher.high) - float(matcher.low))
    first, last = _cell(matcher.low, power), _cell(matcher.high, power)
    if first is None or last is None or last - first > 2:
        return [PRESENT]
    return [((Kind.RANGE, power), cell) for cell in range(first, last + 1)]


def _cell(number: float, power: int) -> int | None:
    try:
        return math.floor(math.ldexp(number, -power))
    except OverflowError:
        return None


def keys_of(value: Any, table: Table, keys: Any) -> Collection[Hashable]:
    """Return the keys under which `value` is looked up in a table; `keys` are those that the table has."""
    kind, size = table
    return _KEYS[kind](value, size, keys)


def _exact_keys(value: Any, _size: int, _keys: Any) -> Collection[Hashable]:
    return (exact_key(value),)


def _prefix_keys(value: Any, size: int, _keys: Any) -> Collection[Hashable]:
    return (value[:size],) if type(value) is str and len(value) >= size else ()


def _suffix_keys(value: Any, size: int, _keys: Any) -> Collection[Hashable]:
    return (value[-size:],) if type(value) is str and len(value) >= size else ()


def _folded_keys(value: Any, _size: int, _keys: Any) -> Collection[Hashable]:
    return (value.lower(),) if type(value) is str else ()


def _folded_prefix_keys(value: Any, size: int, _keys: Any) -> Collection[Hashable]:
    return (value[:size].lower(),) if type(value) is str and len(value) >= size else ()


def _folded_suffix_keys(value: Any, size: int, _keys: Any) -> Collection[Hashable]:
    return (value[-size:].lower(),) if type(value) is str and len(value) >= size else ()


def _network_keys(value: Any, size: int, _keys: Any) -> Collection[Hashable]:
    address = read_address(value) if type(value) is str else None
    bits, fixed = divmod(size, 256)
    if address is None or len(address) * 8 != bits:
        return ()
    free = bits - fixed
    return ((int.from_bytes(address, "big") >> free << free).to_bytes(len(address), "big"),)


def _gram_keys(value: Any, size: int, keys: Any) -> Collection[Hashable]:
    if type(value) is not str:
        return ()
    if len(keys) < len(value) - size:
        return [key for key, _ in keys.items() if key in value]
    return {value[start : start + size] for start in range(len(value) - size + 1)}


def _range_keys(value: Any, size: int, _keys: Any) -> Collection[Hashable]:
    return (_cell(value, size),) if is_number(value) and is_comparable(value) else ()


def _present_keys(_value: Any, _size: int, _keys: Any) -> Collection[Hashable]:
    return (None,)


def _no_keys(_value: Any, _size: int, _keys: Any) -> Collection[Hashable]:
    return ()


_KEYS: Final[tuple[Callable[[Any, int, Any], Collection[Hashable]], ...]] = (
    _exact_keys,
    _prefix_keys,
    _suffix_keys,
    _folded_keys,
    _folded_prefix_keys,
    _folded_suffix_keys,
    _network_keys,
    _gram_keys,
    _range_keys,
    _present_keys,
    _no_keys,  # no value is absent
)
