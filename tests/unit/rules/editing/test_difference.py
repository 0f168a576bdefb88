"""How two states of the rules differ, for people and for programs."""

from __future__ import annotations

from typing import Any

from app.rules.columns import complete
from app.rules.editing.difference import (
    Change,
    changed_columns,
    compare_values,
    describe,
    diff,
    differences_to_json,
    is_effective,
)


def row(name: str, rule_id: int, **columns: Any) -> dict[str, Any]:
    return {**complete({"name": name, "pattern": {"a": [1]}, "agent_name": "x", **columns}), "id": rule_id}


def test_the_smallest_differing_parts_are_named() -> None:
    before = {"a": {"b": 1, "c": [1, 2]}, "gone": 1}
    after = {"a": {"b": 1, "c": [2, 1]}, "odd key": {"x": None}}
    assert [str(difference) for difference in compare_values("pattern", before, after)] == [
        "pattern.a.c: [1, 2] → [2, 1]",
        "pattern.gone: removed 1",
        'pattern["odd key"]: added {"x": null}',
    ]
    assert [difference.to_json() for difference in compare_values("p", {"a": None}, {"b": None})] == [
        {"path": "p.a", "before": None},
        {"path": "p.b", "after": None},
    ]


def test_by_name_a_renamed_rule_is_a_new_one_by_id_it_is_not() -> None:
    current, wanted = [row("old", 1)], [row("new", 1)]
    assert [(d.name, d.change) for d in diff(current, wanted, delete=True)] == [
        ("new", Change.CREATED),
        ("old", Change.DELETED),
    ]
    (renamed,) = diff(current, wanted, delete=True, by="id")
    assert (renamed.change, renamed.name, renamed.columns) == (Change.CHANGED, "old", ("name",))


def test_what_is_not_asked_to_go_is_kept() -> None:
    kept, deleted = (diff([row("a", 1)], [], delete=delete)[0] for delete in (False, True))
    assert (kept.change, is_effective(kept)) == (Change.KEPT, False)
    assert (deleted.change, is_effective(deleted)) == (Change.DELETED, True)


def test_stamps_do_not_count() -> None:
    assert changed_columns(row("a", 1) | {"updated_by": "x"}, row("a", 2) | {"updated_by": "y"}) == ()


def test_long_values_are_cut_in_text_but_not_in_json() -> None:
    differences = diff([row("a", 1, description="x" * 500)], [row("a", 1, description="y" * 500)], delete=False)
    text = describe(differences)
    assert max(map(len, text.splitlines())) < 400
    assert "…" in text
    assert differences_to_json(differences)["rules"][0]["values"][0]["after"] == "y" * 500
    assert describe([]) == "no rules"
