"""The operators of a row: what each asks of a field, and the values that it takes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Takes(StrEnum):
    """What values an operator takes."""

    VALUES = "values"  # texts, numbers, true, false, null
    TEXTS = "texts"
    NUMBER = "number"
    BOUNDS = "bounds"  # the lower and the upper
    NOTHING = "nothing"


class Operator(StrEnum):
    """What a row asks of its field."""

    IS = "is"
    IS_NOT = "is-not"
    BEGINS = "begins"
    ENDS = "ends"
    CONTAINS = "contains"
    WILDCARD = "wildcard"
    NOT_BEGINS = "not-begins"
    NOT_ENDS = "not-ends"
    NOT_CONTAINS = "not-contains"
    NOT_WILDCARD = "not-wildcard"
    IS_ANY_CASE = "is-any-case"
    IS_NOT_ANY_CASE = "is-not-any-case"
    BEGINS_ANY_CASE = "begins-any-case"
    ENDS_ANY_CASE = "ends-any-case"
    NUMBER_IS = "number-is"
    LESS = "less"
    AT_MOST = "at-most"
    GREATER = "greater"
    AT_LEAST = "at-least"
    BETWEEN = "between"
    STRICTLY_BETWEEN = "strictly-between"
    FROM_UNTIL_BELOW = "from-until-below"
    ABOVE_UP_TO = "above-up-to"
    EXISTS = "exists"
    ABSENT = "absent"
    NETWORK = "network"
    EXACTLY = "exactly"


@dataclass(frozen=True, slots=True)
class Meaning:
    """How an operator is written in a pattern.

    `match_type` holds for one of the values, or with `is_but` for anything but them; empty for plain values.
    `signs` are the comparisons of numbers.
    """

    label: str
    takes: Takes
    match_type: str = ""
    is_but: bool = False
    any_case: bool = False
    signs: tuple[str, ...] = ()


_TEXTS: Final = Takes.TEXTS
_OF_NUMBERS: Final = {
    Operator.NUMBER_IS: ("is the number", ("=",)),
    Operator.LESS: ("is a number less than", ("<",)),
    Operator.AT_MOST: ("is a number of at most", ("<=",)),
    Operator.GREATER: ("is a number greater than", (">",)),
    Operator.AT_LEAST: ("is a number of at least", (">=",)),
    Operator.BETWEEN: ("is a number between, ends included", (">=", "<=")),
    Operator.STRICTLY_BETWEEN: ("is a number between, ends excluded", (">", "<")),
    Operator.FROM_UNTIL_BELOW: ("is a number from … to less than …", (">=", "<")),
    Operator.ABOVE_UP_TO: ("is a number greater than … up to …", (">", "<=")),
}
MEANINGS: Final = {
    Operator.IS: Meaning("is one of", Takes.VALUES),
    Operator.IS_NOT: Meaning("is not any of", Takes.VALUES, is_but=True),
    Operator.BEGINS: Meaning("begins with", _TEXTS, "prefix"),
    Operator.ENDS: Meaning("ends with", _TEXTS, "suffix"),
    Operator.CONTAINS: Meaning("contains", _TEXTS, "wildcard"),
    Operator.WILDCARD: Meaning("matches, with * for anything", _TEXTS, "wildcard"),
    Operator.NOT_BEGINS: Meaning("does not begin with", _TEXTS, "prefix", is_but=True),
    Operator.NOT_ENDS: Meaning("does not end with", _TEXTS, "suffix", is_but=True),
    Operator.NOT_CONTAINS: Meaning("does not contain", _TEXTS, "wildcard", is_but=True),
    Operator.NOT_WILDCARD: Meaning("does not match, with * for anything", _TEXTS, "wildcard", is_but=True),
    Operator.IS_ANY_CASE: Meaning("is one of, in any case", _TEXTS, "equals-ignore-case"),
    Operator.IS_NOT_ANY_CASE: Meaning("is not any of, in any case", _TEXTS, "equals-ignore-case", is_but=True),
    Operator.BEGINS_ANY_CASE: Meaning("begins with, in any case", _TEXTS, "prefix", any_case=True),
    Operator.ENDS_ANY_CASE: Meaning("ends with, in any case", _TEXTS, "suffix", any_case=True),
    **{
        operator: Meaning(label, Takes.NUMBER if len(signs) == 1 else Takes.BOUNDS, "numeric", signs=signs)
        for operator, (label, signs) in _OF_NUMBERS.items()
    },
    Operator.EXISTS: Meaning("exists", Takes.NOTHING, "exists"),
    Operator.ABSENT: Meaning("does not exist", Takes.NOTHING, "exists"),
    Operator.NETWORK: Meaning("is an IP address in", _TEXTS, "cidr"),
    Operator.EXACTLY: Meaning("is exactly these characters", _TEXTS, "exactly"),
}
"""All operators in the order of the form."""

GROUPS: Final = (
    ("Value", (Operator.IS, Operator.IS_NOT, Operator.EXISTS, Operator.ABSENT)),
    (
        "Text",
        (
            Operator.BEGINS,
            Operator.ENDS,
            Operator.CONTAINS,
            Operator.WILDCARD,
            Operator.NOT_BEGINS,
            Operator.NOT_ENDS,
            Operator.NOT_CONTAINS,
            Operator.NOT_WILDCARD,
        ),
    ),
    (
        "Text in any case",
        (Operator.IS_ANY_CASE, Operator.IS_NOT_ANY_CASE, Operator.BEGINS_ANY_CASE, Operator.ENDS_ANY_CASE),
    ),
    ("Number", tuple(_OF_NUMBERS)),
    ("Special", (Operator.NETWORK, Operator.EXACTLY)),
)
"""The operators as the form offers them."""
