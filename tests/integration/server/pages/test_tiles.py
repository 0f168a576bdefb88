"""Each tile of the page Now counts the calls that its link lists."""

from __future__ import annotations

import random
import re
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import httpx2
from sqlalchemy import Connection

from app.accounts.roles import Role
from tests.integration.audit.audit_rows import dispatch_row, event_row, store
from tests.integration.server.conftest import Running
from tests.integration.server.test_console import log_in

_TILE = r'<dt>([^<]+)</dt><dd><a class="figure" href="([^"]+)">([^<]+)</a><div class="aside">(.*?)</div>'
FATES: tuple[dict[str, Any], ...] = (
    {"status": "ended", "came": True},
    {"status": "joined", "cause": "agent_joined", "came": True},
    {"status": "joined", "cause": "agent_joined", "came": True, "rung": 1, "asked_agent_name": "spare"},
    {"status": "no_show", "cause": "no_agent"},
    {"status": "no_show", "cause": "no_agent", "rung": 1, "asked_agent_name": "spare"},
    {"status": "failed", "cause": "refused"},
    {"status": "cancelled", "cause": "caller_left"},
    {"status": "cancelled", "cause": "cancelled_by_hand"},
    {"status": "dispatched", "cause": "accepted"},
)


def _fill(connection: Any) -> None:
    """Store 300 calls of two days with one to three dispatches each, some redriven, and calls without any."""
    chance = random.Random(11)
    now = datetime.now(UTC)
    rows, orders = [], []
    for number in range(300):
        joined = now - timedelta(minutes=5 + chance.random() * 2_800)
        without = chance.random() < 0.1
        row = event_row(joined, participant_sid=f"PA_{number}", participant_identity=f"caller-{number}",
                        outcome="no_match" if without else "planned")  # fmt: skip
        rows.append(row)
        before: dict[str, Any] | None = None
        for nth in range(0 if without else chance.randint(1, 3)):
            fate = dict(chance.choice(FATES))
            made = joined + timedelta(seconds=nth + 0.01)
            values: dict[str, Any] = {"joined_at": made + timedelta(seconds=1)} if fate.pop("came", False) else {}
            if before is not None and before["status"] in {"no_show", "failed"} and chance.random() < 0.5:
                values |= {"replaces": before["id"], "replaces_kind": "redrive"}
            before = dispatch_row(made, row, **fate, **values)
            orders.append(before)
    store(connection, event_rows=rows, dispatch_rows=orders)


async def _listed(client: httpx2.AsyncClient, link: str) -> set[str]:
    """Return the calls on all pages of a list."""
    found: set[str] = set()
    while link:
        page = await client.get(link)
        assert page.status_code == 200, page.text
        shown = re.findall(r'class="who" href="/console/calls/([0-9a-f-]+)"', page.text)
        assert not found & set(shown)
        found |= set(shown)
        following = re.search(r'<a class="more" href="([^"]+)"', page.text)
        link = unescape(following[1]) if following else ""
    return found


async def test_the_number_on_each_tile_is_that_of_the_calls_behind_it(running: Running) -> None:
    await running.service.orchestrator.context.writer.run(_fill)
    await running.add_user("vera", Role.VIEWER)
    async with running.client() as client:
        await log_in(client, "vera")
        page = (await client.get("/console/")).text
        tiles = re.findall(
            r'<dt>([^<]+)</dt><dd><a class="figure" href="([^"]+)">([^<]+)</a><div class="aside">(.*?)</div>', page
        )
        counted = {}
        for title, link, figure, aside in tiles:
            number = re.match(r"(\d+) of ", aside)[1] if "%" in figure else figure  # type: ignore[index]
            counted[title] = (int(number), len(await _listed(client, unescape(link))))
        assert {title: one for title, one in counted.items() if one[0] != one[1]} == {}
        assert set(counted) == {"Waiting now", "Agent joined", "No agent joined", "Via fallback", "Left while waiting"}
        assert all(number > 5 for number, _ in counted.values()), counted
        # And the tab's title says how many wait
        assert f"<title>({counted['Waiting now'][0]}) Now · Usher</title>" in page


async def test_without_calls_no_tile_says_that_agents_joined(running: Running) -> None:
    await running.add_user("vera", Role.VIEWER)
    async with running.client() as client:
        await log_in(client, "vera")
        page = (await client.get("/console/")).text
    tiles = {title: (figure, aside) for title, _, figure, aside in re.findall(_TILE, page)}
    assert tiles["Via fallback"] == ("0", "no calls")
    assert {aside for title, (_, aside) in tiles.items() if title != "Waiting now"} == {"no calls"}
    assert "Every agent joined" not in page


async def test_what_went_wrong_says_whether_there_is_more(running: Running) -> None:
    def fail(connection: Connection, count: int) -> None:
        joined = datetime.now(UTC) - timedelta(minutes=5)
        names = [{"participant_sid": f"PA_{count}_{number}", "outcome": "no_match"} for number in range(count)]
        store(connection, event_rows=[event_row(joined, **each) for each in names])

    await running.add_user("vera", Role.VIEWER)
    async with running.client() as client:
        await log_in(client, "vera")
        more = "Only the latest calls of the hour are listed."
        await running.write(lambda connection: fail(connection, 8))
        assert more not in (await client.get("/console/")).text
        await running.write(lambda connection: fail(connection, 1))
        assert more in (await client.get("/console/")).text
