"""Documents with arrays within arrays, and patterns made from them, so that matches and near misses are frequent."""

from __future__ import annotations

from random import Random
from typing import Any

KEYS = ("a", "b", "c", "a.b", "lines", "P", "P!", "P-b", "x")
VALUES: tuple[Any, ...] = (
    "", "a", "b", "ab", "Ab", "abc", "straße", "É", "10.0.0.1", "10.0.0.9", "2001:db8::1",
    0, 1, 2, 3.0, 300, -0.5, 2**53 + 1, True, False, None,
)  # fmt: skip


def make_document(random: Random, depth: int = 4) -> dict[str, Any]:
    """Return a random document; its arrays mostly hold objects of the same shape."""
    return {key: _node(random, depth - 1) for key in random.sample(KEYS, random.randint(1, 4))}


def _node(random: Random, depth: int) -> Any:
    kind = random.random()
    if depth <= 0 or kind < 0.3:
        return random.choice(VALUES)
    if kind < 0.55:
        return make_document(random, depth)
    if kind < 0.9:
        return [_node(random, depth - 1) for _ in range(random.randint(0, 4))]
    return [[_node(random, depth - 2) for _ in range(random.randint(0, 3))] for _ in range(random.randint(1, 2))]


def leaves_of(node: Any, path: str = "") -> list[tuple[str, Any]]:
    """Return the dotted path and the value of every leaf."""
    if isinstance(node, dict):
        return [leaf for key, value in node.items() for leaf in leaves_of(value, f"{path}.{key}" if path else key)]
    if isinstance(node, list):
        return [leaf for element in node for leaf in leaves_of(element, path)]
    return [(path, node)]


def make_pattern(random: Random, document: dict[str, Any], depth: int = 2) -> dict[str, Any]:
    """Return a pattern about some of the document's fields that may well match it."""
    leaves = leaves_of(document) or [("a", 1)]
    pattern: dict[str, Any] = {}
    for path, value in random.choices(leaves, k=random.randint(1, 4)):
        _put(random, pattern, _elsewhere(random, path), _values(random, value))
    if depth and random.random() < 0.3:
        branches = [make_pattern(random, document, depth - 1) for _ in range(random.randint(2, 3))]
        target = random.choice([pattern, *(value for value in pattern.values() if isinstance(value, dict))])
        target["$or"] = branches
    return pattern


def _elsewhere(random: Random, path: str) -> str:
    return path if random.random() < 0.9 else f"{path}.{random.choice(KEYS)}"


def _put(random: Random, pattern: dict[str, Any], path: str, values: list[Any]) -> None:
    parts = path.split(".")
    node = pattern
    while len(parts) > 1 and random.random() < 0.8:
        step = node.setdefault(parts.pop(0), {})
        if not isinstance(step, dict):
            return
        node = step
    node[".".join(parts)] = values


def _values(random: Random, value: Any) -> list[Any]:
    values = [_around(random, value)] if random.random() < 0.85 else []
    while not values or random.random() < 0.25:
        values.append(_around(random, random.choice(VALUES)))
    random.shuffle(values)
    return values


def _around(random: Random, value: Any) -> Any:
    """Return the value itself, or a match type that may hold for it."""
    general = [value, value, {"exists": True}, {"exists": False}, {"anything-but": "zz"}, {"anything-but": [1, 2]}]
    if isinstance(value, str):
        cut = random.randint(0, len(value))
        starred = (value[:cut] + "*" + value[cut + 1 :]).replace("**", "*")
        return random.choice(
            [
                *general,
                {"prefix": value[:cut]},
                {"suffix": value[cut:]},
                {"prefix": {"equals-ignore-case": value[:cut].swapcase()}},
                {"suffix": {"equals-ignore-case": value[cut:].upper()}},
                {"equals-ignore-case": value.swapcase()},
                {"wildcard": starred},
                {"wildcard": f"*{value[:cut]}*" if cut else "*"},
                {"anything-but": {"wildcard": starred}},
                {"anything-but": {"equals-ignore-case": [value.upper(), "q"]}},
                {"anything-but": {"prefix": [value[:1] or "q"]}},
                {"anything-but": [value, "q"]},
                {"cidr": random.choice(["10.0.0.0/29", "10.0.0.0/8", "2001:db8::/64"])},
            ]
        )
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return random.choice(
            [
                *general,
                {"numeric": ["=", 300]},
                {"numeric": [">=", 0, "<", random.choice([1, 2, 301])]},
                {"numeric": ["<", random.randint(-1, 3)]},
                {"numeric": [">", random.randint(-1, 3)]},
                {"anything-but": 1},
            ]
        )
    return random.choice(general)
