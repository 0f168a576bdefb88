"""The page Trends, as a person sees it: with script, without, and when rules have changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from playwright.sync_api import Browser, BrowserContext, expect

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
