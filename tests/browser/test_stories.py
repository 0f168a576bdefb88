"""What users do at the console, in a real browser, against a simulated LiveKit."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import partial

from playwright.sync_api import BrowserContext, Page, Request, expect

from app.accounts.roles import Role
from app.simulator import Behaviour
from tests.browser.conftest import log_in, unfold, write_pattern
from tests.conftest import PASSWORD
from tests.harness.stage import Stage


def test_from_the_first_start_to_the_first_timeline(stage: Stage, context: BrowserContext) -> None:
    page = context.new_page()
    # Given there are no users, when the printed link is opened, then it creates the first admin
    page.goto(stage.url + stage.service.first_admin_path)
    page.get_by_label("Your name").fill("maria")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Password again").fill(PASSWORD)
    page.get_by_role("button", name="Create the first admin").click()
    # Then the page Now shows the next steps
    expect(page.get_by_role("heading", name="Set the webhook in LiveKit")).to_be_visible()
    page.get_by_role("link", name="New rule").click()
    # When a rule is written, then it is checked while typing
    write_pattern(page, '{"participant": {"metadata": {"language": ["es"]}')
    expect(page.locator("#trial")).to_contain_text("is not JSON")
    page.get_by_label("Pattern").fill('{"participant": {"metadata": {"language": ["es"]}}}')
    page.get_by_label("Name", exact=True).fill("spanish")
    page.get_by_label("Agent name", exact=True).fill("support-es")
    expect(page.locator("#trial")).to_contain_text("The rule is valid")
    page.get_by_label("Why this edit?").fill("our first rule")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_contain_text("Saved")
    # When a participant joins, then the page Now shows the call, and its timeline ends with the agent
    page.goto(f"{stage.url}/console/")
    stage.add_worker("support-es")
    stage.join("hall", "ana", {"language": "es"})
    expect(page.get_by_role("link", name="ana", exact=True).first).to_be_visible()
    stage.wait_for("ana", "joined")
    page.get_by_role("link", name="ana", exact=True).first.click()
    expect(page.locator(".timeline")).to_contain_text("support-es joined")
    expect(page.locator(".summary")).to_contain_text("support-es joined ana")
    page.goto(f"{stage.url}/console/history")
    expect(page.locator("main")).to_contain_text("our first rule")


def test_a_wait_is_counted_by_the_clock_of_usher(stage: Stage, context: BrowserContext) -> None:
    # Given a viewer whose machine is hours ahead, and a caller whose agent does not join
    context.clock.set_system_time(datetime.now(UTC) + timedelta(hours=5))
    stage.add_rules({"name": "all", "pattern": {}, "agent_name": "nobody", "answer_timeout_s": 600})
    stage.join("hall", "ana")
    page = context.new_page()
    log_in(page, stage, "eva", Role.VIEWER)
    # Then the page says how long the caller has waited, in minutes at most
    expect(page.locator("[data-since]").first).to_have_text(re.compile(r"^(\d+ s|\d min \d\d s)$"))


def test_no_agent_joins_the_rule_is_fixed_and_the_call_retried(stage: Stage, context: BrowserContext) -> None:
    # Given a rule with a misspelled agent name
    stage.add_rules(
        {
            "name": "support",
            "pattern": {"room": {"name": ["hall"]}},
            "agent_name": "suport",
            "answer_timeout_s": 1,
            "max_attempts": 1,
            "fallbacks": None,
        }
    )
    stage.add_worker("support")
    page = context.new_page()
    log_in(page, stage, "eva", Role.EDITOR)
    stage.join("hall", "ana")
    stage.wait_for("ana", "no_show")
    # Then the page Now names the cause and what to do
    page.reload()
    heading = page.get_by_role("heading", name="Agent 'suport' does not join: its only attempt failed")
    expect(heading).to_be_visible(timeout=60_000)
    # And the call says why no agent joined
    page.get_by_role("table", name="Went wrong in the last hour").get_by_role("link", name="ana").click()
    expect(page.locator(".summary")).to_contain_text("No agent joined ana")
    expect(page.get_by_text("What to do")).to_be_visible()
    call = page.url
    # When the rule is fixed
    page.get_by_role("table", name="Rules tried").get_by_role("link", name="support").click()
    unfold(page, "If the agent does not join")
    page.get_by_label("Fallbacks").fill("support")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_contain_text("Saved")
    page.goto(call)
    expect(page.get_by_role("button", name="Redrive")).to_be_visible()
    page.get_by_role("button", name="Retry with the current rules").click()
    # Then the agent joins
    stage.wait_for("ana", "joined")
    page.reload()
    expect(page.locator(".timeline")).to_contain_text("support joined")
    [line] = stage.rows("SELECT * FROM audit_log WHERE entity = 'event'")
    assert (line["to_state"], line["changed_by"]) == ("replayed", "eva")


def test_redriving_sends_the_agent_once_its_worker_runs(stage: Stage, context: BrowserContext) -> None:
    stage.add_rules(
        {"name": "all", "pattern": {"room": {"name": ["hall"]}}, "agent_name": "greeter", "answer_timeout_s": 1,
         "max_attempts": 1}
    )  # fmt: skip
    stage.join("hall", "ana")
    stage.wait_for("ana", "no_show")
    stage.add_worker("greeter")
    page = context.new_page()
    log_in(page, stage, "eva", Role.EDITOR)
    page.goto(f"{stage.url}/console/calls/ana")
    page.get_by_role("button", name="Redrive").click()
    expect(page.get_by_role("status")).to_contain_text("Dispatched again")
    stage.wait_for("ana", "joined")
    page.reload()
    expect(page.locator(".chip.large")).to_have_text("answered")


def test_a_waiting_dispatch_is_cancelled(stage: Stage, context: BrowserContext) -> None:
    stage.add_worker("greeter", Behaviour(never_joins=True))
    stage.add_rules(
        {"name": "all", "pattern": {"room": {"name": ["hall"]}}, "agent_name": "greeter", "answer_timeout_s": 600}
    )
    page = context.new_page()
    log_in(page, stage, "eva", Role.EDITOR)
    stage.join("hall", "ana")
    stage.wait_for("ana", "dispatched")
    expect(page.get_by_role("table", name="Waiting for an agent").get_by_role("link", name="ana")).to_be_visible()
    page.goto(f"{stage.url}/console/calls/ana")
    page.once("dialog", lambda dialog: dialog.dismiss())
    page.get_by_role("button", name="Cancel").click()
    assert stage.statuses()["ana"] == "dispatched", "asked first"
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("status")).to_contain_text("Cancelled")
    assert stage.statuses()["ana"] == "cancelled"


def test_an_objective_is_set_and_shown_and_a_doubtful_pattern_is_warned_of(
    stage: Stage, context: BrowserContext
) -> None:
    # Given a rule, and two callers with their agent
    stage.add_rules({"name": "hall", "pattern": {"room": {"name": [{"prefix": "hall"}]}}, "agent_name": "greeter"})
    stage.add_worker("greeter")
    for identity in ("ana", "ben"):
        stage.join(f"hall-{identity}", identity)
        stage.wait_for(identity, "joined")
    page = context.new_page()
    log_in(page, stage, "eva", Role.EDITOR)
    page.get_by_role("link", name="Rules", exact=True).click()
    page.get_by_role("link", name="hall", exact=True).click()
    # When half an objective is entered, then the other half is required while typing
    unfold(page, "Objective")
    page.get_by_label("Percent of the callers").fill("95")
    expect(page.locator("#trial")).to_contain_text("is required with objective_percent")
    page.get_by_label("Within (seconds)").fill("7.5")
    expect(page.locator("#trial")).to_contain_text("The rule is valid")
    page.get_by_role("button", name="Save").click()
    # Then it is shown on the pages of the rule and of the agent
    expect(page.locator("aside")).to_contain_text("Objective: 95 % within 7.5 s")
    expect(page.locator("aside")).to_contain_text("0 of 2 missed")
    page.goto(f"{stage.url}/console/agents/greeter?hours=168")
    expect(page.get_by_role("table", name="Objectives")).to_contain_text("0 of 2 missed")
    # When a pattern has a field that LiveKit never sends, then the nearest one is suggested, and saving is possible
    page.goto(f"{stage.url}/console/rules/1")
    write_pattern(page, '{"room": {"nam": ["hall"]}}')
    expect(page.locator("#trial")).to_contain_text("Check this")
    expect(page.locator("#trial")).to_contain_text("room.name")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_contain_text("Saved")


def test_a_viewer_sees_no_way_to_edit(stage: Stage, context: BrowserContext) -> None:
    page = context.new_page()
    log_in(page, stage, "vera", Role.VIEWER)
    stage.add_rules({"name": "all", "pattern": {"room": {"name": ["hall"]}}, "agent_name": "greeter"})
    expect(page.get_by_role("link", name="Users")).to_have_count(0)
    page.goto(f"{stage.url}/console/rules")
    expect(page.get_by_role("link", name="New rule")).to_have_count(0)
    page.get_by_role("link", name="all", exact=True).click()
    expect(page.get_by_label("Name", exact=True)).not_to_be_editable()
    expect(page.get_by_role("button", name="Save")).to_have_count(0)
    page.goto(f"{stage.url}/console/users")
    expect(page.get_by_role("heading", name="Not allowed")).to_be_visible()


def test_a_disabled_user_is_logged_out_with_the_next_request(stage: Stage, context: BrowserContext) -> None:
    page = context.new_page()
    log_in(page, stage, "eva", Role.EDITOR)
    stage.rows("UPDATE users SET disabled = 1 WHERE name = 'eva' RETURNING id")
    page.get_by_role("link", name="Rules", exact=True).click()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()


def test_pages_load_nothing_from_another_host(stage: Stage, context: BrowserContext) -> None:
    asked: list[str] = []

    def note(request: Request) -> None:
        asked.append(request.url)

    context.on("request", note)
    complaints: list[str] = []
    page = context.new_page()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    log_in(page, stage, "maria", Role.ADMIN)
    for path in ("/console/calls", "/console/rules", "/console/rules/new", "/console/agents", "/console/history",
                 "/console/simulate", "/console/users", "/console/logins", "/console/reads", "/console/account",
                 "/api"):  # fmt: skip
        page.goto(stage.url + path)
    page.wait_for_load_state("networkidle")
    assert asked
    assert [url for url in asked if not url.startswith(stage.url + "/")] == []
    assert complaints == []


def test_times_are_in_the_viewers_zone_with_the_exact_value_on_hover(stage: Stage, context: BrowserContext) -> None:
    page = context.new_page()
    log_in(page, stage, "eva", Role.EDITOR)
    stage.join("hall", "ana")
    expect(page.get_by_role("link", name="ana", exact=True).first).to_be_visible()
    page.goto(f"{stage.url}/console/calls/ana")
    _wait_for_localized(page)
    exact, shown = page.evaluate(
        """() => { const each = document.querySelector(".facts time"); return [each.title, each.textContent]; }"""
    )
    assert exact.endswith("Z")
    hour = (int(exact[11:13]) + page.evaluate("-new Date().getTimezoneOffset() / 60")) % 24
    assert f"{int(hour):02d}:{exact[14:16]}" in shown


def test_pages_work_without_script(stage: Stage, context: BrowserContext) -> None:
    browser = context.browser
    assert browser is not None
    plain = browser.new_context(java_script_enabled=False)
    try:
        page = plain.new_page()
        log_in(page, stage, "eva", Role.EDITOR)
        page.get_by_role("link", name="Rules", exact=True).click()
        page.get_by_role("link", name="New rule").click()
        page.get_by_label("Name", exact=True).fill("plain")
        page.get_by_label("Agent name", exact=True).fill("greeter")
        page.get_by_role("button", name="Test").click()
        expect(page.locator("#trial")).to_contain_text("The rule is valid")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_role("status")).to_contain_text("Saved")
    finally:
        plain.close()


def _wait_for_localized(page: Page) -> None:
    page.wait_for_function("""() => !document.querySelector(".facts time").textContent.includes("UTC")""")


def test_a_call_leads_to_the_callers_other_calls_and_into_a_ticket(stage: Stage, context: BrowserContext) -> None:
    # Given a caller who called twice, and rules of which one nearly matched
    stage.add_worker("support")
    stage.add_rules(
        {"name": "german", "priority": 10, "agent_name": "support",
         "pattern": {"participant": {"metadata": {"department": ["support"], "language": ["de"]}}}},
        {"name": "sales", "priority": 20, "agent_name": "support",
         "pattern": {"participant": {"metadata": {"department": ["sales"]}}}},
        {"name": "support", "priority": 30, "agent_name": "support",
         "pattern": {"participant": {"metadata": {"department": ["support"]}}}},
    )  # fmt: skip
    for room in ("hall-1", "hall-2"):
        stage.join(room, "ana", {"department": "support", "language": "es"}, name="Ana *Pérez*")
        stage.wait_for("ana", "joined")
        stage.do(partial(stage.simulator.leave, room, "ana"))
        stage.wait_for("ana", "ended")
    page = context.new_page()
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    log_in(page, stage, "eva", Role.EDITOR)
    page.goto(f"{stage.url}/console/calls?q=ana")
    page.get_by_role("table", name="Calls found").get_by_role("link", name="ana").first.click()
    # Then the matched rule stands first, the near miss after it, and the rest is folded
    expect(page.get_by_role("table", name="Rules tried", exact=True).locator("a.who")).to_have_text(
        ["support", "german"]
    )
    expect(page.get_by_role("table", name="Rules tried", exact=True)).to_contain_text("1 of 2 held")
    page.get_by_text("1 other rule").click()
    expect(page.get_by_role("table", name="Other rules tried")).to_contain_text("sales")
    # And since the call is over, nothing is offered that cannot help
    expect(page.get_by_role("button", name="Retry with the current rules")).to_have_count(0)
    expect(page.get_by_text("there is nobody to retry for")).to_be_visible()
    # When it is copied as Markdown, then the ticket has link and steps
    latest = page.url
    page.get_by_role("button", name="Copy as Markdown").click()
    ticket = page.evaluate("navigator.clipboard.readText()")
    assert latest in ticket
    assert "- Caller: ana (Ana \\*Pérez\\*)" in ticket
    assert "support joined" in ticket
    # And the caller's call before is one click away, and back
    page.get_by_role("link", name="Previous call of this caller").click()
    expect(page.locator(".call-head .facts")).to_contain_text("hall-1")
    page.get_by_role("link", name="Next call").click()
    expect(page.locator(".call-head .facts")).to_contain_text("hall-2")


def test_a_live_call_renews_itself(stage: Stage, context: BrowserContext) -> None:
    stage.add_worker("greeter", Behaviour(never_joins=True))
    stage.add_rules(
        {"name": "all", "pattern": {"room": {"name": ["hall"]}}, "agent_name": "greeter", "answer_timeout_s": 600}
    )
    stage.join("hall", "ana")
    stage.wait_for("ana", "dispatched")
    page = context.new_page()
    log_in(page, stage, "eva", Role.EDITOR)
    # The tab says how many wait
    expect(page).to_have_title("(1) Now · Usher")
    page.goto(f"{stage.url}/console/calls/ana")
    expect(page.locator(".chip.large")).to_have_text("waiting")
    stage.do(lambda: stage.simulator.leave("hall", "ana"))
    expect(page.locator(".chip.large")).to_have_text("abandoned")
