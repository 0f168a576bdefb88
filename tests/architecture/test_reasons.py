"""Reasons are text for people: what the code decides by is the `cause` of a dispatch."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

APP = Path(__file__).parents[2] / "app"
# Where dispatches are decided upon and counted; elsewhere, a refused webhook has a reason, too.
MODULES = [
    path
    for package in ("flows", "lifecycle", "outbox", "observe", "audit")
    for path in sorted((APP / package).rglob("*.py"))
]


def is_reason(node: ast.expr) -> bool:
    if isinstance(node, ast.Attribute):
        return node.attr == "reason"
    return isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) and node.slice.value == "reason"


def decisions_by_reason(tree: ast.AST) -> Iterator[int]:
    """Yield the lines that compare a reason, or call a method of one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and any(is_reason(one) for one in (node.left, *node.comparators)):
            yield node.lineno
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and is_reason(node.func.value):
            yield node.lineno


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(APP)))
def test_nothing_is_decided_by_a_reason(path: Path) -> None:
    assert list(decisions_by_reason(ast.parse(path.read_text()))) == []


@pytest.mark.parametrize(
    "text",
    [
        "if one.reason.startswith('the caller'): pass",
        "query.where(dispatches.c.reason == 'the room is gone')",
        "found = row['reason'] in REASONS",
    ],
)
def test_a_decision_by_a_reason_is_found(text: str) -> None:
    assert list(decisions_by_reason(ast.parse(text))) == [1]
