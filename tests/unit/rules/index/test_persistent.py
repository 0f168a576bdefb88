"""Collections of many editions: each sees its own changes only, and behaves like the plain one."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import pytest

from app.rules.index.persistent import Ordered, Shards


@dataclass(frozen=True)
class Item:
    rank: int


@pytest.mark.parametrize("seed", range(5))
def test_shards_are_a_mapping_in_every_edition(seed: int) -> None:
    random = Random(seed)
    shards: Shards[str, int] = Shards(object())
    plain: dict[str, int] = {}
    kept: list[tuple[Shards[str, int], dict[str, int]]] = []
    for _ in range(40):
        kept.append((shards, dict(plain)))
        shards = shards.own(object())
        assert shards.own(shards.edition) is shards
        for _ in range(random.choice([1, 5, 300])):
            key = str(random.randrange(4000))
            if random.random() < 0.8:
                shards.put(key, len(kept))
                plain[key] = len(kept)
            else:
                shards.drop(key)
                plain.pop(key, None)
    kept.append((shards, plain))
    for edition, expected in kept:
        assert dict(edition.items()) == expected
        assert len(edition) == len(expected)
        assert all(edition.get(key) == value and key in edition for key, value in expected.items())
        assert edition.get("missing") is None
        assert "missing" not in edition


def test_a_large_mapping_that_shrinks_still_has_all_its_keys() -> None:
    shards: Shards[int, int] = Shards(object())
    for key in range(5000):
        shards.put(key, key)
    for key in range(4990):
        shards.drop(key)
    assert dict(shards.items()) == {key: key for key in range(4990, 5000)}


@pytest.mark.parametrize("seed", range(5))
def test_ordered_items_are_sorted_in_every_edition(seed: int) -> None:
    random = Random(seed)
    ordered: Ordered[Item] = Ordered(object())
    plain: dict[int, Item] = {}
    kept: list[tuple[Ordered[Item], list[int]]] = []
    for _ in range(30):
        kept.append((ordered, sorted(plain)))
        ordered = ordered.own(object())
        for _ in range(random.choice([1, 400])):
            rank = random.randrange(5000)
            if rank not in plain:
                plain[rank] = Item(rank)
                ordered.add(plain[rank])
                assert ordered.has(plain[rank])
        for rank in random.sample(sorted(plain), random.choice([0, len(plain) // 3])):
            assert ordered.drop(plain[rank])
            assert not ordered.drop(plain.pop(rank))
        assert not ordered.has(Item(7_000))
        assert not ordered.drop(Item(7_000))
    kept.append((ordered, sorted(plain)))
    for edition, expected in kept:
        assert [item.rank for item in edition] == expected
        assert len(edition) == len(expected)
