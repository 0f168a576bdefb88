"""The page Trends, as a person sees it: with script, without, and when rules have changed."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta

from playwright.sync_api import Browser, BrowserContext, Route, expect

from app.accounts.roles import Role
from tests.browser.conftest import log_in
from tests.browser.screenshots import log_in as log_in_context
from tests.harness.stage import Stage

RULE = {"name": "support", "pattern": {"room": {"name": [{"prefix": "support-"}]}}, "agent_name": "support-es"}


def _with_a_call(stage: Stage) -> None:
    stage.add_rules(RULE)
    stage.add_worker("support-es")
    stage.join("support-1", "ana")
    stage.wait_for("ana", "joined")


def test_figures_are_drawn_and_a_choice_is_in_the_address(stage: Stage, context: BrowserContext) -> None:
    _with_a_call(stage)
    page = context.new_page()
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    log_in(page, stage, "vera", Role.VIEWER)
    # Given a call, when the page is opened, then four pictures are drawn under the strict content security policy
    page.get_by_role("link", name="Trends", exact=True).click()
    expect(page.locator(".chart canvas")).to_have_count(4)
    page.wait_for_selector("[data-drawn]")
    expect(page.locator("[data-chart=volume]")).to_be_visible()
    drawn = page.evaluate("""() => [...document.querySelectorAll(".chart canvas")].map((canvas) =>
        new Set(canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data).size > 2)""")
    assert drawn == [True] * 4
    # And the list names the change of the rules
    expect(page.locator(".rule-marks")).to_contain_text("support created by maria")
    # When an agent is chosen, then the address says so, and the table counts its call
    page.get_by_label("Agent", exact=True).select_option("support-es")
    page.wait_for_url("**agent=support-es**")
    page.get_by_text("Show as a table").click()
    joined = page.get_by_role("table", name="Figures over time").locator("tbody tr td:nth-child(4)").all_inner_texts()
    assert sum(map(int, joined)) == 1
    assert problems == []
    # When the page is paused, then it stays so with another time and after a reload, until it is resumed
    sign = page.locator("[data-live=trends]")
    sign.get_by_role("button", name="Pause").click()
    page.get_by_label("Time", exact=True).select_option("168")
    page.wait_for_url("**hours=168**")
    expect(sign).to_have_attribute("data-state", "paused")
    page.reload()
    expect(sign).to_contain_text("paused")
    sign.get_by_role("button", name="Resume").click()
    page.get_by_label("Time", exact=True).select_option("24")
    page.wait_for_url("**hours=24**")
    expect(sign).to_have_attribute("data-state", "live")
    # And the line of the pointer does not look like that of a change
    line = page.locator("#chart-volume .u-cursor-x")
    assert line.evaluate("(line) => getComputedStyle(line).borderRightStyle") == "solid"


def test_without_javascript_there_is_a_table(stage: Stage, browser: Browser) -> None:
    _with_a_call(stage)
    stage.add_user("vera", Role.VIEWER)
    context = browser.new_context(java_script_enabled=False, viewport={"width": 320, "height": 700})
    try:
        log_in_context(context, stage.url, "vera")
        page = context.new_page()
        earliest = datetime.now(UTC) - timedelta(minutes=61)
        page.goto(f"{stage.url}/console/trends?hours=1")
        page.get_by_text("Show as a table").click()
        table = page.get_by_role("table", name="Figures over time")
        instants = table.locator("tbody time").evaluate_all("all => all.map((one) => one.dateTime)")
        assert 55 <= len(instants) <= 61
        assert all(datetime.fromisoformat(one) >= earliest for one in instants)
        counts = table.locator("tbody tr td:nth-child(2)").all_inner_texts()
        assert sum(map(int, counts)) == 1
        expect(page.locator(".chart").first).to_be_hidden()
    finally:
        context.close()


def test_figures_renew_themselves_and_keep_what_a_person_looks_at(stage: Stage, context: BrowserContext) -> None:
    _with_a_call(stage)
    page = context.new_page()
    log_in(page, stage, "vera", Role.VIEWER)
    page.goto(f"{stage.url}/console/trends?hours=1")
    page.wait_for_selector("[data-drawn]")
    sign = page.locator("[data-live=trends]")
    expect(sign).to_have_attribute("data-state", "live")
    legend = page.locator("#chart-volume .u-legend")
    area = page.locator("#chart-volume .u-over")
    # Given a picture that is zoomed into, with the pointer at the interval of the call
    figures = json.loads(page.locator("[data-figures]").get_attribute("data-figures") or "")
    arrived = [point["arrived"] for point in figures["points"]]
    place = (arrived.index(1) + 0.5) / len(arrived)
    low, high = max(place - 0.2, 0), min(place + 0.2, 1)
    area.scroll_into_view_if_needed()
    box = area.bounding_box()
    assert box is not None
    left, width, middle = box["x"], box["width"], box["y"] + box["height"] / 2
    page.mouse.move(left + width * low, middle)
    page.mouse.down()
    page.mouse.move(left + width * high - 1, middle, steps=3)
    expect(sign).to_contain_text("paused while you press the mouse button")
    page.mouse.up()
    page.mouse.move(left + width * (place - low) / (high - low), middle)
    expect(legend).to_contain_text(re.compile("joined.*1"))
    picture = page.locator("#chart-volume canvas").element_handle()

    # When figures come that differ, then the picture, its part and the hover stay, and show them
    def with_more(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, body=answer.text().replace('"arrived": 1,', '"arrived": 7,'))

    page.route("**/console/trends/part**", with_more)
    expect(legend).to_contain_text(re.compile("joined.*7"))
    assert page.locator("#chart-volume canvas").evaluate("(now, before) => now === before", picture)
    # When the table is open, then the sign says why nothing changes, and it goes on once it is closed
    page.get_by_text("Show as a table").click()
    expect(sign).to_contain_text("paused while details are open")
    page.get_by_text("Show as a table").click()
    expect(sign).to_have_attribute("data-state", "live")
