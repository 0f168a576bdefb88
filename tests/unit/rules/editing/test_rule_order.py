"""A rule is moved within the matching order, whatever the priorities are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import NotFoundError
from app.rules.editing.rule_order import Placed, moved


def rules(*priorities: int) -> list[Placed]:
    """Return rules with the ids 1, 2, …, in matching order."""
    return [Placed(number, f"rule {number}", priority) for number, priority in enumerate(sorted(priorities), start=1)]


@pytest.mark.parametrize(
    ("priorities", "rule_id", "above", "changed"),
    [
        ((10, 20, 30), 3, 2, {3: 15}),
        ((10, 20, 30), 3, 1, {3: 0}),
        ((10, 20, 30), 1, None, {1: 40}),
        ((10, 20, 30), 1, 3, {1: 25}),
        ((10, 11, 12), 3, 2, {3: 11, 2: 12}),
        ((100, 100, 100), 3, 2, {3: 101, 2: 102}),
        ((100, 100, 100, 101, 150), 3, 1, {3: 90}),
        ((100, 100, 101, 150), 4, 2, {4: 101, 2: 102, 3: 103}),
        ((10, 20, 30), 2, 3, {}),
        ((10, 20, 30), 2, 2, {}),
        ((10, 20, 30), 3, None, {}),
        ((10, 10, 30), 1, 2, {}),
        ((5,), 1, None, {}),
        ((-1_000_000, -1_000_000), 2, 1, {1: -999_999}),
        ((0, 1_000_000), 1, None, {2: 10, 1: 20}),
    ],
)
def test_few_priorities_change(
    priorities: tuple[int, ...], rule_id: int, above: int | None, changed: dict[int, int]
) -> None:
    assert moved(rules(*priorities), rule_id, above) == changed


def test_what_is_not_there_cannot_be_moved() -> None:
    with pytest.raises(NotFoundError):
        moved(rules(1, 2), 9, 1)
    with pytest.raises(NotFoundError):
        moved(rules(1, 2), 1, 9)


few = st.integers(-3, 3) | st.sampled_from([-1_000_000, -999_999, 999_999, 1_000_000])


@given(st.lists(few, min_size=1, max_size=8), st.data())
def test_the_order_afterwards_is_the_one_asked_for(priorities: list[int], data: st.DataObject) -> None:
    before = rules(*priorities)
    ids = [one.id for one in before]
    rule_id, above = data.draw(st.sampled_from(ids)), data.draw(st.sampled_from([*ids, None]))
    changed = moved(before, rule_id, above)
    expected = list(ids)
    if above != rule_id:
        expected.remove(rule_id)
        expected.insert(len(expected) if above is None else expected.index(above), rule_id)
    after = {one.id: changed.get(one.id, one.priority) for one in before}
    assert sorted(ids, key=lambda each: (after[each], each)) == expected
    assert all(-1_000_000 <= priority <= 1_000_000 for priority in after.values())
    if rule_id in changed:
        assert sum(priority == after[rule_id] for priority in after.values()) == 1, "its place depends on no age"
