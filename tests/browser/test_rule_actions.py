"""The form of a rule shows the fields that its action needs."""

from __future__ import annotations

from playwright.sync_api import BrowserContext, expect

from app.accounts.roles import Role
from tests.browser.conftest import log_in, unfold, write_pattern
from tests.harness.stage import Stage


def test_a_rule_that_transfers_is_made_with_the_fields_that_it_needs(context: BrowserContext, stage: Stage) -> None:
    page = context.new_page()
    log_in(page, stage, "maria", Role.EDITOR)
    page.goto(f"{stage.url}/console/rules/new")
    agent, address = page.locator("#agent_name"), page.locator("#transfer_to")
    expect(agent).to_be_visible()
    expect(address).to_be_hidden()

    unfold(page, "If the agent does not join")
    page.select_option("#on_no_show", "transfer")
    expect(address).to_be_visible()
    page.select_option("#on_no_show", "wait")
    page.select_option("#action", "ignore")
    expect(agent).to_be_hidden()
    expect(address).to_be_hidden()
    expect(page.locator("#max_attempts")).to_be_hidden()

    page.select_option("#action", "transfer")
    expect(address).to_be_visible()
    page.fill("#name", "moved")
    write_pattern(page, '{"participant": {"kind": ["SIP"]}}')
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#transfer_to-problem")).to_contain_text("is required with action transfer")

    page.fill("#transfer_to", "tel:+34911222333")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="moved")).to_be_visible()
    page.goto(f"{stage.url}/console/rules")
    expect(page.locator("main")).to_contain_text("transfer to tel:+34911222333")
    (row,) = stage.rows("SELECT action, agent_name, transfer_to FROM routing_rules WHERE name = 'moved'")
    assert (row["action"], row["agent_name"], row["transfer_to"]) == ("transfer", None, "tel:+34911222333")
