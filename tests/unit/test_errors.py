"""Messages that name the nearest valid spelling are sentences."""

from __future__ import annotations

import pytest

from app.errors import Problem
from app.rules.warnings.rule_warnings import RuleWarning, WarningKind
from app.server.formatting import full_stop


@pytest.mark.parametrize("message", ["must be a scope", "must be a scope."])
def test_a_full_stop_stands_before_did_you_mean(message: str) -> None:
    assert str(Problem("scope", message, "rom", "room")) == "scope: must be a scope. Did you mean 'room'?"
    warned = RuleWarning(1, "a", WarningKind.UNSEEN_AGENT, message, "scope", "room")
    assert str(warned) == "scope: must be a scope. Did you mean room?"
    assert full_stop(message) == "must be a scope."


def test_a_message_without_a_suggestion_stays_as_it_is() -> None:
    assert str(Problem("scope", "must be a scope", "x")) == "scope: must be a scope"
