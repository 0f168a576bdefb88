"""What is written when the world has changed since the last evaluation."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from app.db.types import IncidentKind
from app.incidents import Incident
from app.incidents.changes import MAX_OPEN, plan_changes
from app.incidents.sighting import Key, Level, Sighting
from app.incidents.wording import remedy_of, title_of

NOW = datetime(2026, 11, 26, 14, 2, tzinfo=UTC)
KEY = Key(IncidentKind.NO_SHOW, "sales", "default")
KNOWN = Incident("i1", *KEY, NOW, NOW, None, 3, {"calls": ["c"]}, None, "", "")
SEEN = Sighting(KEY, Level.OPEN, 3, {"calls": ["c"]})


def test_what_is_wrong_and_not_known_opens() -> None:
    changes = plan_changes([], [SEEN], ())
    assert (changes.opened, changes.closed) == ([SEEN], [])


def test_what_is_not_sure_opens_nothing_and_keeps_what_is_open() -> None:
    held = replace(SEEN, level=Level.HELD)
    assert not plan_changes([], [held], ())
    assert not plan_changes([KNOWN], [held], ())


@pytest.mark.parametrize(("known", "opened"), [(MAX_OPEN, 0), (MAX_OPEN - 1, 1), (MAX_OPEN + 1, 0)])
def test_no_more_open_than_are_read_at_once(known: int, opened: int) -> None:
    keys = [Key(IncidentKind.NO_SHOW, f"rule {number}", "default") for number in range(known + 3)]
    sightings = [Sighting(key, Level.OPEN) for key in keys]
    stored = [replace(KNOWN, id=str(place), subject=key.subject) for place, key in enumerate(keys[:known])]
    assert len(plan_changes(stored, sightings, ()).opened) == opened


@pytest.mark.parametrize(
    ("kind", "count", "title"),
    [
        (IncidentKind.NO_SHOW, 1, "No agent joined for 1 caller of rule 'sales'"),
        (IncidentKind.NO_SHOW, 16, "No agent joined for 16 callers of rule 'sales' within 15 minutes"),
        (IncidentKind.NO_RULE, 16, "16 callers matched no rule within 15 minutes"),
        (
            IncidentKind.AGENT_NOT_JOINING,
            16,
            "Agent 'sales' does not join: its only attempt failed; 16 callers concerned within an hour",
        ),
    ],
)
def test_a_title_says_over_which_time_its_callers_were_counted(kind: IncidentKind, count: int, title: str) -> None:
    assert title_of(kind, "sales", "default", count, {}) == title


def test_what_is_no_longer_wrong_closes() -> None:
    assert plan_changes([KNOWN], [], ()).closed == [KNOWN]


def test_what_could_not_be_judged_stays_open() -> None:
    assert not plan_changes([KNOWN], [], {IncidentKind.NO_SHOW})


@pytest.mark.parametrize(("count", "expected"), [(9, 9), (2, 3)])
def test_a_count_only_grows(count: int, expected: int) -> None:
    (updated,) = plan_changes([KNOWN], [replace(SEEN, count=count, detail={"calls": ["d"]})], ()).updated
    assert updated == (KNOWN, expected, {"calls": ["d"]})


def test_the_same_again_writes_nothing() -> None:
    assert not plan_changes([KNOWN], [SEEN], ())


def test_a_sighting_without_a_detail_keeps_the_known_one() -> None:
    assert not plan_changes([KNOWN], [replace(SEEN, level=Level.HELD, count=0, detail={})], ())


@pytest.mark.parametrize("kind", IncidentKind)
def test_every_kind_has_a_title_and_a_remedy_whatever_its_detail(kind: IncidentKind) -> None:
    assert title_of(kind, "subject", "default", 2, {})
    assert remedy_of(kind, {}).endswith(".")
    assert remedy_of(kind, {"reason": "a reason of a newer release"}).endswith(".")
