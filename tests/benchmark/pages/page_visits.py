"""Every page of the console and every question of the API, asked of a running `usher serve` over HTTP.

Each page must be quick by itself, also the first time; the rounds go through all pages in turn, as many people do.
"""

from __future__ import annotations

import http.client
import json
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

from sqlalchemy import text

from app.accounts.password import hash_password
from app.accounts.roles import Role
from app.accounts.tokens import issue_token
from app.accounts.users import add_user, find_user
from app.db.engine import create_writer_engine
from tests.benchmark import process
from tests.benchmark.figure import Aim, Figure
from tests.workload.stored_calls import StoredCalls

TARGET_MS = 50.0
_NAME, _PASSWORD = "visitor", "comes to look at every page"
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_NOWHERE = "http://127.0.0.1:9"


@dataclass(frozen=True, slots=True)
class Page:
    """One address; `body` is posted: a form to the console, JSON to the API."""

    path: str
    body: Mapping[str, Any] | None = None


@dataclass
class Visitor:
    """Somebody who is logged in, and has a token."""

    connection: http.client.HTTPConnection
    token: str
    cookie: str = ""
    form_token: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def visit(self, page: Page) -> float:
        """Return the milliseconds until the page was there, whole."""
        is_console = page.path.startswith("/console")
        headers = {"Cookie": self.cookie} if is_console else {"Authorization": f"Bearer {self.token}"}
        body = None
        if page.body is not None and is_console:
            body, headers = urlencode({**page.body, "csrf": self.form_token}), headers | _FORM
        elif page.body is not None:
            body = json.dumps(page.body)
        began = time.perf_counter()
        status, content = self._ask(page, body, headers)
        spent = (time.perf_counter() - began) * 1000
        if status != 200:
            raise RuntimeError(f"{page.path} was answered {status}: {content[:500]!r}")
        return spent

    def log_in(self) -> None:
        """Get a session and the token of its forms."""
        self._begin("/console/login")
        form = {"csrf": self.form_token, "name": _NAME, "password": _PASSWORD}
        headers = {"Cookie": self.cookie} | _FORM
        self.connection.request("POST", "/console/login", urlencode(form), headers)
        answer = self.connection.getresponse()
        answer.read()
        self.cookie = str(answer.getheader("set-cookie")).partition(";")[0]
        self._begin("/console/rules/new")

    def _begin(self, path: str) -> None:
        self.connection.request("GET", path, headers={"Cookie": self.cookie} if self.cookie else {})
        answer = self.connection.getresponse()
        content = answer.read().decode()
        self.cookie = self.cookie or str(answer.getheader("set-cookie")).partition(";")[0]
        found = re.search(r'name="csrf" value="([^"]+)"', content)
        self.form_token = found[1] if found else ""

    def _ask(self, page: Page, body: str | None, headers: Mapping[str, str]) -> tuple[int, bytes]:
        self.connection.request("GET" if page.body is None else "POST", page.path, body, dict(headers))
        answer = self.connection.getresponse()
        return answer.status, answer.read()


def visit_pages(stored: StoredCalls, times: int, visits: int) -> list[Figure]:
    """Return the p95 of the slowest page in each of `times` rounds of `visits` visits, and of first visits."""
    token = _make_visitor(stored)
    pages = list(_pages(stored))
    with (
        process.folder() as path,
        process.usher(
            path,
            _NOWHERE,
            DATABASE_URL=stored.url.render_as_string(hide_password=False),
            USHER_SWEEP_INTERVAL="0",
            USHER_RETENTION_DAYS="0",
        ) as program,
        closing(http.client.HTTPConnection("127.0.0.1", program.port, timeout=120)) as connection,
    ):
        visitor = Visitor(connection, token)
        visitor.log_in()
        first = {page.path: visitor.visit(page) for page in pages}
        rounds = [_round(visitor, pages, visits) for _ in range(times)]
    slowest = [max(taken.values()) for taken in rounds]
    return [
        Figure(
            name=f"the slowest of {len(pages)} pages over {stored.calls:,} calls, p95 over HTTP",
            unit="ms",
            ours=slowest,
            aim=Aim.AT_MOST,
            target=TARGET_MS,
            note=f"{visits} visits a round; {_worst(rounds[-1])}",
        ),
        Figure(
            name="all pages visited for the first time, p95",
            unit="ms",
            ours=[percentile(list(first.values()), 0.95)],
            aim=Aim.AT_MOST,
            target=2 * TARGET_MS,
            note=_worst(first),
        ),
    ]


def percentile(values: list[float], share: float) -> float:
    """Return the value below which `share` of all lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]


def _round(visitor: Visitor, pages: list[Page], visits: int) -> dict[str, float]:
    spent: dict[str, list[float]] = {page.path: [] for page in pages}
    for _ in range(visits):
        for page in pages:
            spent[page.path].append(visitor.visit(page))
    return {path: percentile(values, 0.95) for path, values in spent.items()}


def _worst(spent: Mapping[str, float]) -> str:
    named = sorted(spent.items(), key=lambda one: -one[1])[:3]
    return "slowest: " + ", ".join(f"{path} {milliseconds:.0f} ms" for path, milliseconds in named)


def _make_visitor(stored: StoredCalls) -> str:
    engine, now = create_writer_engine(stored.url), datetime.now(UTC)
    with engine.begin() as connection:
        user = find_user(connection, _NAME) or add_user(
            connection, _NAME, Role.ADMIN, by="benchmark", now=now, password_hash=hash_password(_PASSWORD)
        )
        _, token = issue_token(connection, user.id, "benchmark", Role.ADMIN, by="benchmark", now=now)
    engine.dispose()
    return token


_RULE = {"name": "another", "agent_name": "another", "pattern": {"participant": {"metadata": {"language": ["es"]}}}}
_DRAFT = {
    **_RULE, "pattern": json.dumps(_RULE["pattern"]), "enabled": "on", "priority": 100, "rollout_percent": 100,
    "rollout_key": "participant.identity", "timezone": "UTC", "answer_timeout_s": 15, "max_attempts": 3,
    "scope": "room", "on_match": "stop", "metadata": "", "attributes": "",
}  # fmt: skip


def _pages(stored: StoredCalls) -> Iterator[Page]:
    engine = create_writer_engine(stored.url)
    with engine.connect() as connection:
        recent = "SELECT id, event_id, participant_sid FROM dispatches ORDER BY id DESC OFFSET {} LIMIT 1"
        call, old = (connection.execute(text(recent.format(place))).one() for place in (3_000, stored.calls // 2))
        rules: dict[str, int] = {
            row.name: row.id for row in connection.execute(text("SELECT id, name FROM routing_rules"))
        }
    engine.dispose()
    for path in _console(stored, call, old, rules):
        yield Page(f"/console/{path}")
    for path in _api(stored, call, rules):
        yield Page(f"/api/v1/{path}")
    for path in ("/healthz", "/readyz", "/metrics", "/api", "/api/openapi.json"):
        yield Page(path)
    yield Page("/console/rules/check", _DRAFT)
    yield Page("/api/v1/rules/test", {"rule": _RULE, "limit": 200})
    yield Page("/api/v1/rules/check", _RULE)
    yield Page("/api/v1/rules/apply", {"rules": [_RULE], "dry_run": True})
    yield Page("/api/v1/rules/revert", {"to_version": 3, "dry_run": True})


def _console(stored: StoredCalls, call: Any, old: Any, rules: Mapping[str, int]) -> Iterator[str]:
    day = stored.newest - timedelta(days=0.1)
    span = urlencode({"from": f"{day - timedelta(hours=1):%Y-%m-%dT%H:%M}", "to": f"{day:%Y-%m-%dT%H:%M}"})
    number = quote("+15550000000")
    yield from ("", "now", "simulate", "users", "account", "history", "history?rule=rule-3")
    yield from (f"agents?hours={hours}" for hours in (1, 24, 168, 720))
    yield from ("agents/steady", "agents/agent-3?hours=168", "agents/agent-19?hours=720", "agents/retired?hours=720")
    yield from ("trends", "trends?hours=168", "trends?hours=24&agent=agent-5", "trends?hours=168&rule=rule-7")
    yield from ("rules", "rules?search=rule-2", "rules/new", f"rules/new?from={call.event_id}")
    yield from (f"rules/{rules[name]}" for name in ("rule-3", "rule-29", "steady"))
    yield from (f"calls?state={state}" for state in ("no_show", "failed", "abandoned", "no_match", "waiting", "ended"))
    yield from (f"calls?search={who}" for who in ("anonymous", "lobby", number, "nobody", call.participant_sid))
    yield from ("calls", "calls?state=ended&agent=agent-3", "calls?agent=agent-19&state=no_show", "calls?agent=retired")
    yield from ("calls?state=failed&agent=steady", "calls?rule=rule-7", f"calls?state=no_show&{span}")
    yield from (f"calls/{one}" for one in (call.event_id, old.event_id, "anonymous", number))


def _api(stored: StoredCalls, call: Any, rules: Mapping[str, int]) -> Iterator[str]:
    week = f"{stored.newest - timedelta(days=7):%Y-%m-%dT%H:%M:%SZ}"
    number = quote("+15550000000")
    rule = rules["rule-3"]
    yield from ("statistics", "statistics?hours=1", "statistics?hours=168", "statistics?hours=744")
    yield from ("statistics?agent=agent-3", "statistics?hours=720&rule=rule-7", "statistics?hours=720&agent=retired")
    yield from ("rules", "rules?limit=200", f"rules/{rule}", f"rules/{rule}/history", "rules/history", "rules/export")
    yield from ("rules/hits", "events", "events?limit=200", "events?type=room_started", "events?outcome=no_match")
    yield from ("events?source=sweep", "events?source=sweep&room=lobby", f"events?phone_number={number}")
    yield from (f"events/{call.event_id}", "dispatches", "dispatches?status=failed&status=no_show")
    yield from ("dispatches?agent=steady&status=failed", "dispatches?rule=rule-7&agent=steady")
    yield from (f"dispatches?since={week}&agent=agent-19&status=failed", "dispatches?identity=anonymous&status=failed")
    yield from (f"dispatches/{call.id}", "calls", "calls?limit=200", "calls?state=abandoned&agent=agent-3")
    yield from ("calls?state=no_show&agent=agent-19", "calls?identity=anonymous", "calls?search=lobby")
    yield from (f"calls/{call.event_id}", "calls/anonymous", f"calls/{number}", f"explain?of={call.event_id}")
    yield from ("explain?of=anonymous", "agents", "probes?agent=steady", "health", "me", "users", "tokens")
