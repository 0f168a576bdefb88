"""The reference pages are those of the code: generated ones are compared, written ones must name each value once."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path

import pytest
import yaml

from app.audit import CallState
from app.db.columns.action_types import CallerActionCause, CallerActionStatus
from app.db.types import (
    AccessKind,
    AttemptOutcome,
    Cause,
    DispatchStatus,
    EventOutcome,
    EventSource,
    IncidentKind,
    ReplacesKind,
)
from app.livekit.participant.role import Role
from tests.architecture.documentation.reference_pages import FOLDER, PAGES, page_with

DOCS = FOLDER.parent
ALERTS = DOCS.parent / "server" / "static" / "prometheus-alerts.yaml"


@pytest.mark.parametrize("name", sorted(PAGES))
def test_generated_pages_are_those_of_the_code(name: str) -> None:
    text = (FOLDER / name).with_suffix(".md").read_text("utf-8")
    assert PAGES[name]() in text, "run: make reference"
    assert page_with(name) == text


def first_cells(page: Path, heading: str) -> list[str]:
    """Return the first column of the table whose head begins with `heading`."""
    lines = page.read_text("utf-8").split(f"| {heading} |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    return [line.split("|")[1].strip().strip("`") for line in lines]


@pytest.mark.parametrize(
    ("page", "heading", "values"),
    [
        ("reference/states.md", "`dispatches.status`", DispatchStatus),
        ("reference/states.md", "cause", Cause),
        ("reference/states.md", "`dispatch_attempts.outcome`", AttemptOutcome),
        ("reference/states.md", "`events.outcome`", EventOutcome),
        ("reference/states.md", "`events.source`", EventSource),
        ("reference/states.md", "`dispatches.replaces_kind`", ReplacesKind),
        ("reference/states.md", "`caller_actions.status`", CallerActionStatus),
        ("reference/states.md", "`caller_actions.cause`", CallerActionCause),
        ("reference/states.md", "state", CallState),
    ],
)
def test_each_value_of_an_enum_is_described_once(page: str, heading: str, values: Iterable[StrEnum]) -> None:
    assert sorted(first_cells(DOCS / page, heading)) == sorted(values), f"add the value to app/docs/{page}"


def test_each_kind_of_the_log_of_access_is_described() -> None:
    cells = ", ".join(first_cells(DOCS / "access.md", "kind"))
    assert set(re.findall(r"\w+", cells)) == set(AccessKind), "add the kind to app/docs/access.md"


def test_each_role_of_a_participant_is_named() -> None:
    text = (DOCS / "concepts.md").read_text("utf-8")
    assert {role for role in Role if f"`{role}`" not in text} == set()


def entries(part: str) -> dict[str, str]:
    """Return the text of each entry of a part of the runbook, by its heading."""
    text = (DOCS / "runbook.md").read_text("utf-8").split(f"\n## {part}\n", 1)[1].split("\n## ", 1)[0]
    headings = re.split(r"^### (.+)$", text, flags=re.MULTILINE)[1:]
    return dict(zip(headings[::2], headings[1::2], strict=True))


def test_the_runbook_has_an_entry_for_each_alert_and_each_kind_of_incident() -> None:
    groups = yaml.safe_load(ALERTS.read_text("utf-8"))["groups"]
    alerts = [rule["alert"] for group in groups for rule in group["rules"]]
    assert list(entries("Alerts")) == alerts, "add the alert to app/docs/runbook.md, in the order of the file"
    assert sorted(entries("Incidents")) == sorted(IncidentKind), "add the kind to app/docs/runbook.md"


def test_each_entry_of_the_runbook_says_meaning_look_and_do() -> None:
    incomplete = [
        name
        for part in ("Alerts", "Incidents")
        for name, text in entries(part).items()
        if not all(f"**{word}.**" in text for word in ("Meaning", "Look", "Do"))
    ]
    assert incomplete == []
