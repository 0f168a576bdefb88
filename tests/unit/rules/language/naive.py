"""A second matcher, written to be obviously right rather than quick: the oracle for the real one.

It follows event-ruler's `JsonRuleCompiler`, `RuleCompiler` and `ACFinder` step by step: the event is flattened to
texts as they stand in JSON (strings in quotes), a pattern is spelled out into all its alternatives, and every
combination of leaves is tried. README.md's deliberate differences are marked with the word "differs".
"""

from __future__ import annotations

import ipaddress
import itertools
import re
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any

RESERVED = {
    "exactly", "equals-ignore-case", "prefix", "suffix", "anything-but", "exists", "wildcard", "numeric", "cidr",
    "=", "<", "<=", ">", ">=", "regex", "not-wildcard", "not-equals-ignore-case", "date-after", "date-on-or-after",
    "date-before", "date-on-or-before", "in-date-range", "ip-address-in-range", "ip-address-not-in-range",
}  # fmt: skip

Test = Callable[[Any], bool]
Membership = dict[int, int]
ABSENT: Test = lambda _value: False  # noqa: E731 - a mark, compared by identity


class Refused(Exception):  # noqa: N818 - an answer
    pass


def naive_matches(pattern: Any, document: dict[str, Any]) -> bool:
    """Tell whether the document matches; Refused when the pattern cannot be used."""
    try:
        alternatives = spell_out(pattern, legacy=False)
    except Refused:
        alternatives = spell_out(pattern, legacy=True)
    leaves: list[tuple[str, Any, Membership]] = []
    flatten(document, [], {}, leaves, itertools.count())
    return any(try_all(sorted(fields.items(), key=java_order), leaves, {}) for fields in alternatives)


def java_order(item: tuple[str, Any]) -> bytes:
    return item[0].encode("utf-16-be", "surrogatepass")


def flatten(
    node: Any, steps: list[str], membership: Membership, leaves: list[tuple[str, Any, Membership]], ids: Any
) -> None:
    if isinstance(node, dict):
        for key, value in node.items():
            flatten(value, [*steps, key], membership, leaves, ids)
    elif isinstance(node, list):
        array = next(ids)
        for index, element in enumerate(node):
            within = membership | {array: index} if isinstance(element, (dict, list)) else membership
            flatten(element, steps, within, leaves, ids)
    else:
        leaves.append((".".join(steps), node, membership))


def try_all(
    fields: list[tuple[str, list[Test]]], leaves: list[tuple[str, Any, Membership]], chosen: Membership
) -> bool:
    if not fields:
        return True
    (path, tests), *rest = fields
    here = [(value, where) for name, value, where in leaves if name == path]
    agreeing = [(value, where) for value, where in here if all(chosen.get(a, i) == i for a, i in where.items())]
    if ABSENT in tests and not agreeing and try_all(rest, leaves, chosen):
        return True
    return any(
        any(test(value) for test in tests) and try_all(rest, leaves, chosen | where) for value, where in agreeing
    )


def spell_out(pattern: Any, *, legacy: bool) -> list[dict[str, list[Test]]]:
    if not isinstance(pattern, dict):
        raise Refused
    rules: list[dict[str, list[Test]]] = []
    read_object(rules, pattern, [], legacy=legacy, in_or=False)
    return rules


def read_object(  # noqa: C901, PLR0912 - one walk, as in the original
    rules: list[dict[str, list[Test]]], node: dict[str, Any], steps: list[str], *, legacy: bool, in_or: bool
) -> None:
    if not node:
        raise Refused
    for name, content in node.items():
        if name == "$or" and not legacy:
            current = [dict(rule) for rule in rules]
            rules.clear()
            if not isinstance(content, list) or len(content) < 2:
                raise Refused
            for branch in content:
                if not isinstance(branch, dict):
                    raise Refused
                forked = [dict(rule) for rule in current] or [{}]
                read_object(forked, branch, steps, legacy=legacy, in_or=True)
                rules.extend(forked)
            continue
        if in_or and name in RESERVED:
            raise Refused
        if isinstance(content, dict):
            read_object(rules, content, [*steps, name], legacy=legacy, in_or=in_or)
        elif isinstance(content, list):
            if not content:
                raise Refused
            base = ".".join(steps)
            path = f"{base}.{name}" if base else name
            tests = [read_value(value, first=place == 0, legacy=legacy) for place, value in enumerate(content)]
            if not rules:
                rules.append({})
            for rule in rules:
                rule[path] = tests
        else:
            raise Refused


def read_value(value: Any, *, first: bool, legacy: bool) -> Test:
    if isinstance(value, dict):
        if len(value) != 1:
            raise Refused
        ((name, operand),) = value.items()
        return read_match_type(name, operand, first=first, legacy=legacy)
    if isinstance(value, list):
        raise Refused
    if isinstance(value, str) and address(value) is not None:
        wanted = address(value)
        return lambda found: isinstance(found, str) and address(found) == wanted
    return lambda found: same(found, value)


def read_match_type(  # noqa: C901 - a plain list of cases
    name: str, operand: Any, *, first: bool, legacy: bool
) -> Test:
    if name == "exactly":
        text = need_text(operand)
        return lambda found: same(found, text)
    if name in {"prefix", "suffix"}:
        if isinstance(operand, dict):
            if list(operand) != ["equals-ignore-case"]:
                raise Refused
            return in_any_case(need_text(operand["equals-ignore-case"]), name)
        text = need_text(operand)
        if name == "prefix":
            return lambda found: isinstance(found, str) and found[: len(text)] == text
        return lambda found: isinstance(found, str) and (not text or found[-len(text) :] == text)
    if name == "equals-ignore-case":
        return in_any_case(need_text(operand), "equals")
    if name == "wildcard":
        return like(need_text(operand))
    if name == "exists":
        if not isinstance(operand, bool):
            raise Refused
        return (lambda _found: True) if operand else ABSENT
    if name == "numeric":
        return in_range(operand)
    if name == "cidr":
        return in_network(need_text(operand))
    if name == "anything-but":
        return anything_but(operand, first=first, legacy=legacy)
    raise Refused


def anything_but(operand: Any, *, first: bool, legacy: bool) -> Test:
    if isinstance(operand, dict):
        if len(operand) != 1:
            raise Refused
        ((name, inner),) = operand.items()
        if name not in {"prefix", "suffix", "wildcard", "equals-ignore-case"} or (legacy and name == "wildcard"):
            raise Refused
        if legacy and isinstance(inner, list) and name != "equals-ignore-case":
            raise Refused
        texts = [need_text(text) for text in (inner if isinstance(inner, list) else [inner])]
        if name in {"prefix", "suffix"} and "" in texts:
            raise Refused
        if not texts:
            if first:
                raise Refused
            return lambda _found: False
        tests = [read_match_type(name, text, first=first, legacy=legacy) for text in texts]
        return lambda found: not any(test(found) for test in tests)
    values = operand if isinstance(operand, list) else [operand]
    texts = [value for value in values if isinstance(value, str)]
    numbers = [value for value in values if is_number(value) and comparable(value)]
    if not values or (len(texts) != len(values) and len(numbers) != len(values)):
        raise Refused
    return lambda found: not any(same(found, value) for value in values)


def _compares(compare: Callable[[Any, Any], bool], number: Any, found: Any) -> bool:
    return compare(found, number)


def in_range(operand: Any) -> Test:
    if not isinstance(operand, list) or len(operand) not in {2, 4}:
        raise Refused
    tests: list[Test] = []
    for operator, number in zip(operand[::2], operand[1::2], strict=True):
        if not isinstance(operator, str) or operator not in COMPARED:
            raise Refused
        if not is_number(number) or not comparable(number):
            raise Refused
        tests.append(partial(_compares, COMPARED[operator], number))
    if len(operand) == 4 and not (operand[0] in {">", ">="} and operand[2] in {"<", "<="} and operand[1] < operand[3]):
        raise Refused
    return lambda found: is_number(found) and comparable(found) and all(test(found) for test in tests)


COMPARED: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda found, number: found == number,
    "<": lambda found, number: found < number,
    "<=": lambda found, number: found <= number,
    ">": lambda found, number: found > number,
    ">=": lambda found, number: found >= number,
}


def in_network(text: str) -> Test:
    parts = text.split("/")
    while parts and parts[-1] == "":
        parts.pop()
    if len(parts) != 2 or address(parts[0]) is None or not re.fullmatch(r"[+-]?\d+", parts[1]):
        raise Refused
    base = address(parts[0])
    assert base is not None
    # Differs: event-ruler refuses /32 and /128, and confuses versions and numbers.
    if not 0 <= int(parts[1]) <= base.max_prefixlen:
        raise Refused
    network = ipaddress.ip_network((int(base), int(parts[1])), strict=False)
    if base.version == 6:
        network = ipaddress.IPv6Network((int(base), int(parts[1])), strict=False)

    def test(found: Any) -> bool:
        there = address(found) if isinstance(found, str) else None
        return there is not None and there.version == base.version and there in network

    return test


def address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    if re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+", text) and len(text) <= 15:
        text = ".".join(str(int(part)) for part in text.split("."))
    elif re.fullmatch(r"[0-9a-fA-F:]*:[0-9a-fA-F:]*", text):
        text = ":".join(re.sub(r"^0+(?=.)", "", part) for part in text.split(":"))
    else:
        return None
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def in_any_case(text: str, where: str) -> Test:
    choices = [{character.lower(), character.upper()} for character in text]

    def ends(value: str, start: int) -> set[int]:
        reached = {start}
        for choice in choices:
            reached = {at + len(case) for at in reached for case in choice if value.startswith(case, at)}
        return reached

    def test(found: Any) -> bool:
        if not isinstance(found, str):
            return False
        if where == "prefix":
            return bool(ends(found, 0))
        if where == "equals":
            return len(found) in ends(found, 0)
        return any(len(found) in ends(found, start) for start in range(len(found) + 1))

    return test


def like(text: str) -> Test:
    parts = re.findall(r"\\[\\*]|\*|[^\\*]|\\", text, re.DOTALL)
    if "\\" in parts or any(pair == ("*", "*") for pair in itertools.pairwise(parts)):
        raise Refused

    def test(found: Any) -> bool:
        if not isinstance(found, str):
            return False
        reached = {0}
        for part in parts:
            if part == "*":
                reached = set(range(min(reached, default=len(found) + 1), len(found) + 1))
            else:
                reached = {at + 1 for at in reached if found[at : at + 1] == part[-1]}
        return len(found) in reached

    return test


def need_text(value: Any) -> str:
    if not isinstance(value, str):
        raise Refused
    return value


def is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def comparable(value: float) -> bool:
    try:
        return Decimal(repr(float(value))) == Decimal(value if isinstance(value, int) else repr(value))
    except (OverflowError, ArithmeticError):
        return False


def same(found: Any, value: Any) -> bool:
    if is_number(found) and is_number(value):
        if comparable(found) and comparable(value):
            return bool(found == value)
        return repr(found) == repr(value)
    return type(found) is type(value) and bool(found == value)
