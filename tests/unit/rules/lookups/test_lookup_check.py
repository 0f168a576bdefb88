"""What a lookup may be: every mistake is reported, with the column that it is in."""

from __future__ import annotations

import re
from typing import Any

import pytest

from app.rules.lookups import read_lookups
from app.rules.lookups.lookup_book import BadLookup, Lookup, LookupBook
from app.rules.lookups.lookup_check import check_lookup
from app.rules.lookups.read_lookups import read_documents, read_lookup

GOOD: dict[str, Any] = {"name": "crm", "pattern": {}, "url": "https://crm.example.com/usher"}
STORED = {"id": 1, "enabled": 1, "timeout_ms": 1500, "cache_s": 0, "headers": None, "on_error": None}


@pytest.mark.parametrize(
    "columns",
    [
        {},
        {"url": "http://10.0.0.7:8080/ask?tenant=a"},
        {"url": "http://[::1]:8080/"},
        {"headers": {"authorization": "env:CRM_TOKEN", "x-tenant": "acme", "X-Api-Key": "env:KEY"}},
        {"pattern": {"event": ["participant_updated"]}},
        {"pattern": {"$or": [{"event": ["room_started"]}, {"participant": {"kind": ["SIP"]}}]}},
        {"pattern": {"participant": {"attributes": {"lookup": ["x"]}}}},
        {"on_error": [1, None, {"a": "b"}], "cache_s": 86_400, "timeout_ms": 5000},
        {"on_error": "ü" * 32_000},
        {"name": "a" * 63},
    ],
)
def test_a_lookup_that_may_be_saved(columns: dict[str, Any]) -> None:
    assert check_lookup({**GOOD, **columns}) == []


@pytest.mark.parametrize(
    ("columns", "path"),
    [
        ({"name": "my crm"}, "name"),
        ({"name": "1st"}, "name"),
        ({"name": "crm_status"}, "name"),
        ({"name": "a" * 64}, "name"),
        ({"name": None}, "name"),
        ({"enabled": "yes"}, "enabled"),
        ({"pattern": []}, "pattern"),
        ({"pattern": {"room": {"name": "x"}}}, "pattern.room.name"),
        ({"pattern": {"lookup": {"other": {"tier": ["gold"]}}}}, "pattern.lookup.other.tier"),
        ({"pattern": {"$or": [{"lookup.a": [1]}, {"room": {"name": ["x"]}}]}}, "pattern.lookup.a"),
        ({"pattern": {"event": ["participant_left"]}}, "pattern.event"),
        ({"url": "crm.example.com"}, "url"),
        ({"url": "ftp://crm.example.com"}, "url"),
        ({"url": "https://"}, "url"),
        ({"url": "https://user:secret@crm.example.com"}, "url"),
        ({"url": "https://crm.example.com/#top"}, "url"),
        ({"url": "https://crm.example.com/a b"}, "url"),
        ({"url": "https://crm.example.com\r\nx: y"}, "url"),
        ({"url": "https://crm.example.com:port/"}, "url"),
        ({"url": f"https://crm.example.com/{'x' * 2000}"}, "url"),
        ({"url": 7}, "url"),
        ({"headers": ["a"]}, "headers"),
        ({"headers": {"x-tenant": 1}}, "headers.x-tenant"),
        ({"headers": {"x-tenant": "a\r\nx-admin: 1"}}, "headers.x-tenant"),
        ({"headers": {"x-tenant": "ñ"}}, "headers.x-tenant"),
        ({"headers": {"x tenant": "a"}}, 'headers["x tenant"]'),
        ({"headers": {"x\r\ny": "a"}}, 'headers["x\\r\\ny"]'),
        ({"headers": {"Host": "other"}}, "headers.Host"),
        ({"headers": {"content-length": "5"}}, "headers.content-length"),
        ({"headers": {"Transfer-Encoding": "chunked"}}, "headers.Transfer-Encoding"),
        ({"headers": {"proxy-authorization": "env:A"}}, "headers.proxy-authorization"),
        ({"headers": {"authorization": "Bearer secret"}}, "headers.authorization"),
        ({"headers": {"x-api-key": "secret"}}, "headers.x-api-key"),
        ({"headers": {"authorization": "env:"}}, "headers.authorization"),
        ({"headers": {"authorization": "env:A B"}}, "headers.authorization"),
        ({"headers": {"authorization": "env:LIVEKIT_API_SECRET"}}, "headers.authorization"),
        ({"headers": {"x-tenant": "env:USHER_SECRET_KEY"}}, "headers.x-tenant"),
        ({"headers": {"x-tenant": "env:database_url"}}, "headers.x-tenant"),
        ({"headers": {"x-tenant": "env:PGPASSWORD"}}, "headers.x-tenant"),
        ({"headers": {"a": "1", "A": "2"}}, "headers.a"),
        ({"headers": {f"x-{number}": "a" for number in range(21)}}, "headers"),
        ({"timeout_ms": 0}, "timeout_ms"),
        ({"timeout_ms": 5001}, "timeout_ms"),
        ({"timeout_ms": "1500"}, "timeout_ms"),
        ({"timeout_ms": True}, "timeout_ms"),
        ({"cache_s": -1}, "cache_s"),
        ({"cache_s": 1.5}, "cache_s"),
        ({"on_error": "x" * 70_000}, "on_error"),
        ({"on_error": "ü" * 33_000}, "on_error"),
        ({"on_error": {"a": float("nan")}}, "on_error.a"),
        ({"on_error": "\0"}, "on_error"),
        ({"timeout": 5}, "timeout"),
    ],
)
def test_a_mistake_names_its_column(columns: dict[str, Any], path: str) -> None:
    found = check_lookup({**GOOD, **columns})[0].path
    assert re.sub(r'\["([\w-]+)"\]', r".\1", found) == path


def test_all_mistakes_are_reported_at_once() -> None:
    problems = check_lookup({"enabled": 2, "timeout_ms": 9999})
    assert {problem.path for problem in problems} == {"name", "enabled", "pattern", "url", "timeout_ms"}


@pytest.mark.parametrize(
    ("columns", "path"),
    [
        ({"pattern": "{"}, "pattern"),
        ({"pattern": b"\xff"}, "pattern"),
        ({"headers": "7"}, "headers"),
        ({"on_error": "{'a': 1}"}, "on_error"),
        ({"timeout_ms": "soon"}, "timeout_ms"),
    ],
)
def test_what_plain_sql_may_have_stored_makes_one_bad_row(columns: dict[str, Any], path: str) -> None:
    read = read_lookup(*read_documents({**STORED, **GOOD, "pattern": "{}", **columns}))
    assert isinstance(read, BadLookup)
    assert [problem.path for problem in read.problems] == [path]


def test_a_defect_in_reading_makes_one_bad_row(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(read_lookups, "compile_alternatives", fail)
    read = read_lookup(*read_documents({**STORED, **GOOD, "pattern": "{}"}))
    assert isinstance(read, BadLookup)
    assert "RuntimeError: a defect" in str(read.problems[0])


def book(**patterns: str) -> LookupBook:
    rows = [
        read_lookup(*read_documents({**STORED, **GOOD, "id": number, "name": name, "pattern": pattern}))
        for number, (name, pattern) in enumerate(patterns.items(), start=1)
    ]
    assert all(isinstance(row, Lookup) for row in rows)
    return LookupBook(1, tuple(row for row in rows if isinstance(row, Lookup)))


def test_patterns_match_callers_only_unless_they_name_a_role() -> None:
    lookups = book(
        all="{}",
        named='{"participant": {"identity": ["ana"]}}',
        callees='{"participant": {"role": ["callee"]}}',
        phones='{"participant": {"kind": ["SIP"]}}',
        updates='{"event": ["participant_updated"]}',
    )

    def names(event: str, **participant: str) -> list[str]:
        return [one.name for one in lookups.matching({"event": event, "participant": participant})]

    assert names("participant_joined", identity="ana", kind="STANDARD", role="caller") == ["all", "named"]
    assert names("participant_joined", identity="bob", kind="SIP", role="caller") == ["all", "phones"]
    assert names("participant_joined", identity="bob", kind="SIP", role="callee") == ["callees"]
    assert names("participant_joined", identity="agent", kind="AGENT", role="agent") == []
    assert names("participant_updated", identity="ana", kind="STANDARD", role="caller") == ["updates"]
