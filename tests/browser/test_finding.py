"""Support finds a call by what the customer says, narrows the list, and takes it away as a file."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import BrowserContext, Page, expect
from sqlalchemy import insert

from app.accounts.roles import Role
from app.db.tables import agents
from app.livekit.vocabulary import ParticipantKind
from tests.browser.conftest import log_in
from tests.harness.stage import Stage


@pytest.fixture
def page(stage: Stage, context: BrowserContext) -> Page:
    """Three callers: a fallback joined for one, no rule matched another; a viewer is logged in."""
    stage.add_worker("support-en")
    stage.add_rules(
        {"name": "spanish", "pattern": {"participant": {"metadata": {"language": ["es"]}}}, "agent_name": "support-es",
         "answer_timeout_s": 1, "max_attempts": 1, "fallbacks": ["support-en"]},
        {"name": "phone", "pattern": {"participant": {"phone": {"called": ["+15557654321"]}}},
         "agent_name": "support-en"},
    )  # fmt: skip
    phone = {"sip.phoneNumber": "+34699123456", "sip.trunkPhoneNumber": "+15557654321", "sip.ruleID": "SDR_1"}
    stage.join("call-1", "sip_+34699123456", kind=ParticipantKind.SIP, attributes=phone)
    stage.join("SUPPORT-7f3a", "ana.perez", {"language": "es"}, name="Ana Pérez")
    stage.join("lobby", "visitor", {"language": "de"})
    stage.wait_for("sip_+34699123456", "joined")
    stage.wait_for("ana.perez", "joined")
    page = context.new_page()
    log_in(page, stage, "eva", Role.VIEWER)
    return page


def _zone(page: Page) -> str:
    """Return the time zone of the page's browser, as addresses have it."""
    return quote(page.evaluate("Intl.DateTimeFormat().resolvedOptions().timeZone"), safe="")


def _found(page: Page) -> list[str]:
    return page.get_by_role("table", name="Calls found").locator("a.who").all_text_contents()


def test_a_call_is_found_from_any_page_by_what_the_customer_says(page: Page, stage: Stage) -> None:
    for where, said, caller in (
        ("agents", "699 12 34 56", "sip_+34699123456"),
        ("calls/visitor", "3456", "sip_+34699123456"),
        ("rules", "ANA PÉR", "ana.perez"),
        ("", "support-7F", "ana.perez"),
    ):
        page.goto(f"{stage.url}/console/{where}")
        # When `/` is pressed, then the search box has the focus
        page.keyboard.press("/")
        expect(page.get_by_label("Find a call")).to_be_focused()
        page.keyboard.type(said)
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Calls")).to_be_visible()
        assert _found(page) == [caller], said
    page.keyboard.press("Control+k")
    expect(page.get_by_label("Find", exact=True)).to_be_focused()


def test_the_list_is_narrowed_step_by_step_and_the_address_is_the_view(page: Page, stage: Stage) -> None:
    page.goto(f"{stage.url}/console/calls")
    assert set(_found(page)) == {"sip_+34699123456", "ana.perez", "visitor"}
    # When the outcome is chosen, then the list follows and the row says why
    page.get_by_label("Outcome").select_option("fallback")
    expect(page.get_by_role("list", name="Filters that are set")).to_contain_text("via fallback")
    assert _found(page) == ["ana.perez"]
    expect(page.get_by_role("table", name="Calls found")).to_contain_text("via fallback")
    # And the same address shows the same list
    page.goto(page.url)
    assert _found(page) == ["ana.perez"]
    # When the filter is taken away again, then all are back
    page.get_by_role("list", name="Filters that are set").get_by_role("link").click()
    expect(page.get_by_role("list", name="Filters that are set")).to_have_count(0)
    assert len(_found(page)) == 3
    page.get_by_text("More filters").click()
    page.get_by_label("Metadata").fill("language=de")
    page.get_by_role("button", name="Find").click()
    expect(page.get_by_role("list", name="Filters that are set")).to_contain_text("language=de")
    assert _found(page) == ["visitor"]
    # And in the viewer's time zone everything was today, nothing yesterday
    page.goto(f"{stage.url}/console/calls")
    page.get_by_role("button", name="Today").click()
    expect(page.get_by_role("button", name="Today")).to_have_attribute("aria-pressed", "true")
    assert f"tz={_zone(page)}" in page.url
    assert len(_found(page)) == 3
    page.get_by_role("button", name="Yesterday").click()
    expect(page.get_by_text("No matching call")).to_be_visible()


def test_exactly_this_list_is_taken_away_as_a_file(page: Page, stage: Stage, tmp_path: Path) -> None:
    stage.join("lobby", "=cmd|calc", {"language": "de"})
    page.goto(f"{stage.url}/console/calls?metadata=language%3Dde")
    expect(page.get_by_role("table", name="Calls found").locator("a.who")).to_have_count(2)
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    path = tmp_path / "calls.csv"
    download.value.save_as(path)
    rows = list(csv.DictReader(path.read_text("utf-8").splitlines()))
    # A spreadsheet does not take a caller's name for a formula
    assert [row["caller"] for row in rows] == ["'=cmd|calc", "visitor"]
    assert {row["state"] for row in rows} == {"no_match"}


@pytest.mark.usefixtures("page")
def test_without_script_a_call_is_found_too(stage: Stage, context: BrowserContext) -> None:
    state = context.storage_state()
    browser = context.browser
    assert browser is not None
    plain = browser.new_context(java_script_enabled=False, storage_state=state)
    try:
        other = plain.new_page()
        other.goto(f"{stage.url}/console/rules")
        other.get_by_label("Find a call").fill("+34-699-123-456")
        other.get_by_label("Find a call").press("Enter")
        assert _found(other) == ["sip_+34699123456"]
        other.get_by_role("button", name="Last hour").click()
        assert _found(other) == ["sip_+34699123456"]
    finally:
        plain.close()


def test_the_list_says_whether_it_is_live_and_never_stops_silently(page: Page, stage: Stage) -> None:
    page.goto(f"{stage.url}/console/calls")
    sign = page.locator("[data-live=calls]")
    expect(sign).to_have_attribute("data-state", "live")
    # A call that comes in appears by itself
    stage.join("lobby", "late", {"language": "de"})
    expect(page.get_by_role("link", name="late", exact=True)).to_be_visible()
    # When paused, nothing changes until it is resumed
    sign.get_by_role("button", name="Pause").click()
    expect(sign).to_have_attribute("data-state", "paused")
    stage.join("lobby", "later", {"language": "de"})
    stage.rows("SELECT 1")
    expect(sign).to_contain_text("paused")
    assert "later" not in _found(page)
    sign.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("link", name="later", exact=True)).to_be_visible()
    # When text is selected, the sign says why it holds still
    page.evaluate("getSelection().selectAllChildren(document.querySelector('#calls td'))")
    expect(sign).to_contain_text("paused while you select text")
    page.evaluate("getSelection().removeAllRanges()")
    expect(sign).to_have_attribute("data-state", "live")
    # When Usher does not answer, the figures turn grey after twenty seconds
    page.route("**/console/calls/part**", lambda route: route.fulfill(status=503))
    expect(sign).to_have_attribute("data-state", "stale")
    expect(sign).to_contain_text("not updated: Usher answers with an error")
    expect(page.locator("#calls")).to_have_class("card flush stale")
    page.unroute("**/console/calls/part**")
    expect(sign).to_have_attribute("data-state", "live")
    page.route("**/console/calls/part**", lambda route: route.abort())
    expect(sign).to_contain_text("not updated: Usher does not answer")


def test_the_queue_renews_itself(page: Page, stage: Stage) -> None:
    stage.write(lambda connection: connection.execute(insert(agents).values(agent_name="busy", max_calls=0)))
    stage.add_rules({"name": "busy", "pattern": {"room": {"name": ["queue"]}}, "agent_name": "busy"})
    page.goto(f"{stage.url}/console/queue")
    expect(page.get_by_text("No caller waits for a place")).to_be_visible()
    stage.join("queue", "waits")
    expect(page.get_by_role("link", name="waits", exact=True)).to_be_visible()
    stage.do(lambda: stage.simulator.leave("queue", "waits"))
    expect(page.get_by_text("No caller waits for a place")).to_be_visible()


def test_a_filtered_list_is_kept_as_a_view_renamed_and_deleted(page: Page, stage: Stage) -> None:
    # Given a list with a filter, when it is saved
    page.goto(f"{stage.url}/console/calls")
    page.get_by_label("Outcome").select_option("fallback")
    page.get_by_text("Save this view").click()
    page.get_by_label("Name of the view").fill("Fallbacks")
    expect(page.get_by_label("Share it with everybody")).to_have_count(0)  # a viewer does not share
    page.get_by_role("button", name="Save", exact=True).click()
    # Then it stands above the list, and leads to it
    views = page.get_by_role("navigation", name="Saved views")
    expect(views.get_by_role("link", name="Fallbacks")).to_have_attribute("aria-current", "page")
    views.get_by_role("link", name="All calls").click()
    expect(page).to_have_url(f"{stage.url}/console/calls")
    views.get_by_role("link", name="Fallbacks").click()
    expect(page.get_by_role("list", name="Filters that are set")).to_contain_text("via fallback")
    assert _found(page) == ["ana.perez"]
    # When it is renamed and deleted, then the list follows
    views.get_by_role("link", name="Manage views").click()
    page.get_by_label("New name of Fallbacks").fill("Helped by others")
    page.get_by_role("button", name="Save the name of Fallbacks").click()
    expect(page.get_by_role("link", name="Helped by others")).to_be_visible()
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Delete the view Helped by others").click()
    expect(page.get_by_text("No views yet")).to_be_visible()


def test_a_view_of_today_is_of_the_viewers_day(page: Page, stage: Stage) -> None:
    page.goto(f"{stage.url}/console/calls")
    page.get_by_role("button", name="Today").click()
    page.get_by_text("Save this view").click()
    page.get_by_label("Name of the view").fill("Today")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page).to_have_url(re.compile(f"range=today&tz={_zone(page)}"))
    link = page.get_by_role("navigation", name="Saved views").get_by_role("link", name="Today")
    expect(link).to_have_attribute("href", re.compile(f"range=today&tz={_zone(page)}"))


def test_the_keyboard_stays_in_a_list_when_its_row_leaves_it(page: Page, stage: Stage) -> None:
    page.goto(f"{stage.url}/console/")
    latest = page.locator("section", has=page.get_by_role("heading", name="Latest calls"))
    row = latest.locator("a.who").last
    row.focus()
    address = row.get_attribute("href")
    # When so many callers join that the row is listed no more
    for number in range(20):
        stage.join(f"new-{number}", f"new-{number}")
    expect(latest.locator(f'a[href="{address}"]')).to_have_count(0)
    # Then the next key goes on in the list
    assert latest.evaluate("(list) => list.contains(document.activeElement)")
    page.keyboard.press("Tab")
    expect(latest.locator("a.who").first).to_be_focused()
