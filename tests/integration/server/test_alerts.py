"""The shipped alerts fire when they should, and alerts and dashboard use only what `/metrics` exposes."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy.engine import make_url

import app.server
from app.flows.lookup.http_client import LookupFailedError
from app.simulator import SIMULATOR_KEY, Fault, FaultKind
from tests.conftest import Database, missing
from tests.simulator import Mishap
from tests.world.virtual_time import VirtualTimeLoop
from tests.world.world import World

STATIC = Path(app.server.__file__ or "").parent / "static"
ALERTS = STATIC / "prometheus-alerts.yaml"
CASES = Path(__file__).parent / "prometheus-alerts.test.yaml"
_FREE = frozenset({"agent", "fallback", "lookup", "project", "rule", "le"})
"""Labels whose values users choose; the values of all others are Usher's own."""
_SERIES = re.compile(r"(\w+)(?:\{(.*)\})?")
_LABEL = re.compile(r'(\w+)="([^"]*)"')


def promtool(*arguments: str | Path) -> None:
    """Run promtool; fail with what it says when it is not content."""
    path = shutil.which("promtool")
    if path is None:
        missing("promtool (apt-get install prometheus)")
    done = subprocess.run([path, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@dataclass(frozen=True)
class Series:
    """One time series: its name and its labels."""

    name: str
    labels: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, name: str, labels: Mapping[str, str]) -> Series:
        return cls(name, tuple(sorted(labels.items())))

    def without_free_values(self) -> Series:
        return Series(self.name, tuple((name, "" if name in _FREE else value) for name, value in self.labels))

    def __str__(self) -> str:
        return f"{self.name}{{{','.join(f'{name}={json.dumps(value)}' for name, value in self.labels)}}}"


@pytest.fixture(scope="module")
def exposed(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> set[Series]:
    """The series that `/metrics` exposes after an eventful time."""
    path = tmp_path_factory.mktemp("alerts") / "usher.db"
    shutil.copy(sqlite_template, path)
    database = Database(make_url(f"sqlite:///{path}"))
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        text = runner.run(_scrape(database))
    database.close()
    return {
        Series.of(sample.name, sample.labels)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


async def _scrape(database: Database) -> str:
    settings = {"USHER_CANARY_AGENTS": "greeter, ghost", "USHER_CANARY_INTERVAL": "30"}
    async with World(database, sweep=5, settings=settings) as world:
        objective = {"objective_percent": 95, "objective_s": 3}
        world.rule("lost", "absent", {"room": {"name": ["lost"]}}, answer_timeout_s=1, max_attempts=1)
        world.rule("long", "absent", {"room": {"name": ["long"]}}, answer_timeout_s=300)
        world.rule("fallback", "absent", {"room": {"name": ["fallback"]}}, answer_timeout_s=1, max_attempts=1,
                   fallbacks=["greeter"])  # fmt: skip
        world.rule("all", "greeter", priority=200, recover="lost", **objective)
        worker = world.simulator.add_worker("greeter")
        for room in ("lost", "long", "fallback", "hall"):
            world.simulator.join(room, f"caller-{room}")
        await world.until_status("joined", agent_name="greeter")
        await world.until_status("no_show", agent_name="absent")
        await world.until_status("joined", agent_name="absent")
        world.simulator.leave("long", "caller-long")
        await world.until_status("cancelled")
        world.simulator.faults.script("CreateDispatch", Fault(FaultKind.REFUSE, "invalid_argument"))
        world.simulator.join("refused", "caller-refused")
        await world.until_status("failed")
        # An agent is lost and its webhook with it, so the sweep finds the room without it.
        world.simulator.webhook_faults.order(Mishap.DROP, event="participant_left", room="hall", times=None)
        world.simulator.add_worker("greeter")
        world.simulator.kill_worker(worker)
        await world.until(lambda: len(world.dispatches(room_name="hall")) == 2, within=60)
        await world.wait(60)  # for the probe of an agent without a worker
        for lookup in ("crm", "slow", "broken"):
            world.lookup(lookup, {"room": {"name": ["asked"]}}, timeout_ms=500)
        world.services.answer("crm", {"tier": "gold"})
        world.services.answer("slow", {}, after=5)
        world.services.answer("broken", LookupFailedError("it answered 500"))
        world.simulator.join("asked", "caller-asked")
        await world.until_status("joined", room_name="asked")
        token = jwt.encode({"iss": SIMULATOR_KEY, "exp": 2**33, "sha256": ""}, "the secret of another key, 32 bytes")
        assert (await world.usher.post(b"{}", {"authorization": token})).status == 401
        world.simulator.faults.always("ListRooms", Fault(FaultKind.REFUSE))
        await world.until(lambda: world.usher.metric("usher_sweeps_total", project="default", outcome="failed"))
        text: str = await world.usher.get("/metrics")
        return text


def _alerts() -> list[dict[str, Any]]:
    document: Any = yaml.safe_load(ALERTS.read_text("utf-8"))
    return [rule for group in document["groups"] for rule in group["rules"]]


def _cases() -> list[dict[str, Any]]:
    document: Any = yaml.safe_load(CASES.read_text("utf-8"))
    tests: list[dict[str, Any]] = document["tests"]
    return tests


def test_promtool_accepts_the_rules() -> None:
    promtool("check", "rules", ALERTS)


def test_alerts_fire_and_stay_quiet_as_their_cases_say() -> None:
    promtool("test", "rules", CASES)


def test_every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    fires: set[str] = set()
    quiet: set[str] = set()
    for case in _cases():
        for name in {expected["alertname"] for expected in case["alert_rule_test"]}:
            fired = any(one["exp_alerts"] for one in case["alert_rule_test"] if one["alertname"] == name)
            (fires if fired else quiet).add(name)
    names = {rule["alert"] for rule in _alerts()}
    assert fires == quiet == names


def test_the_series_of_the_cases_are_those_of_the_endpoint(exposed: set[Series]) -> None:
    known = {series.without_free_values() for series in exposed}
    given = [_parsed(one["series"]) for case in _cases() for one in case["input_series"]]
    unknown = [str(series) for series in given if series.without_free_values() not in known]
    assert unknown == [], "\n".join(sorted(map(str, known)))


def test_every_query_of_the_dashboard_finds_series_of_the_endpoint(exposed: set[Series], tmp_path: Path) -> None:
    dashboard: Any = json.loads((STATIC / "grafana-dashboard.json").read_text("utf-8"))
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert len(queries) > 20
    shown = [query.replace("$agent", ".*") for query in queries]
    _require_results([one for query in shown for one in _alternatives(query)], exposed, tmp_path)


def test_every_alert_selects_series_of_the_endpoint(exposed: set[Series], tmp_path: Path) -> None:
    selectors = list(_selectors())
    assert len(selectors) > len(_alerts())
    _require_results(selectors, exposed, tmp_path)


def _selectors() -> Iterator[str]:
    for rule in _alerts():
        for selector in re.findall(r"usher_\w+(?:\{[^}]*\})?", rule["expr"]):
            yield from _alternatives(selector)


def _alternatives(query: str) -> list[str]:
    """Return the query once for each value of its `label=~"a|b"`, so that none of them is a value that never occurs."""
    found = re.search(r'"(\w+(?:\|\w+)+)"', query)
    if found is None:
        return [query]
    return [query.replace(found[0], f'"{value}"') for value in found[1].split("|")]


def _require_results(queries: list[str], exposed: set[Series], folder: Path) -> None:
    """Let promtool ask each query of the exposed series, and fail for those that find nothing."""
    case = {
        "interval": "1m",
        "input_series": [{"series": str(series), "values": "1+1x120"} for series in sorted(exposed, key=str)],
        "promql_expr_test": [
            {
                "expr": f"vector(1) and on() ({query})",
                "eval_time": "90m",
                "exp_samples": [{"labels": "{}", "value": 1}],
            }
            for query in queries
        ],
    }
    path = folder / "queries.yaml"
    path.write_text(yaml.safe_dump({"evaluation_interval": "1m", "tests": [case]}), "utf-8")
    promtool("test", "rules", path)


def _parsed(text: str) -> Series:
    found = _SERIES.fullmatch(text)
    assert found is not None, text
    return Series.of(found[1], dict(_LABEL.findall(found[2] or "")))
