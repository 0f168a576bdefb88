"""Timeouts of the server that DATABASE_URL sets are kept, and not undone by shorter ones of ours."""

from __future__ import annotations

import pytest

from app.db.engine.postgres.timeouts import Timeouts

OURS = Timeouts(lock_ms=3000, statement_ms=8000, idle_ms=10_000, answer_ms=10_000)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("", OURS),
        ("-c search_path=calls", OURS),
        ("-c lock_timeout=1s", Timeouts(None, 8000, 10_000, 10_000)),
        ("-c lock_timeout=60s", Timeouts(None, 62_000, 10_000, 64_000)),
        ("--lock-timeout=1min", Timeouts(None, 62_000, 10_000, 64_000)),
        ("-c lock_timeout=0", Timeouts(None, None, 10_000, None)),
        ("-c statement_timeout=500", Timeouts(3000, None, 10_000, 10_000)),
        ("-c statement_timeout=2min", Timeouts(3000, None, 10_000, 124_000)),
        ("-c statement_timeout=0", Timeouts(3000, None, 10_000, None)),
        ("-c statement_timeout='odd'", Timeouts(3000, None, 10_000, None)),
        ("-c idle_in_transaction_session_timeout=0", Timeouts(3000, 8000, None, 10_000)),
    ],
)
def test_what_is_set_beside_the_options_of_the_url(options: str, expected: Timeouts) -> None:
    assert OURS.beside(options) == expected


def test_what_has_no_limit_gets_none() -> None:
    assert Timeouts(10_000).beside("-c lock_timeout=1s") == Timeouts(None)
