"""A person makes and changes rules in the console without writing JSON."""

from __future__ import annotations

import json
import re
from typing import Any

from playwright.sync_api import BrowserContext, Dialog, Page, expect

from app.accounts.roles import Role
from tests.browser.conftest import log_in, unfold
from tests.harness.stage import Stage


def pattern_of(stage: Stage, name: str) -> object:
    [row] = stage.rows(f"SELECT pattern FROM routing_rules WHERE name = '{name}'")
    return json.loads(row["pattern"])


def fill_condition(page: Page, number: int, field: str, operator: str, values: str) -> None:
    if field:
        page.get_by_label(f"Field of condition {number}", exact=True).fill(field)
    page.get_by_label(f"Operator of condition {number}", exact=True).select_option(label=operator)
    page.get_by_label(f"Values of condition {number}", exact=True).fill(values)


def test_a_rule_is_made_of_conditions_that_traffic_suggests(stage: Stage, context: BrowserContext) -> None:
    # Given callers of two languages, and an agent that has joined
    stage.add_worker("support-es")
    stage.add_rules({"name": "first", "pattern": {"room": {"name": ["hall"]}}, "agent_name": "support-es"})
    stage.join("hall", "ana", {"language": "es", "plan": "gold"})
    stage.wait_for("ana", "joined")
    stage.join("lobby", "ben", {"language": "en"})
    page = context.new_page()
    log_in(page, stage, "eva", Role.EDITOR)
    page.goto(f"{stage.url}/console/rules/new")
    # When a condition is added, then fields of recent events are offered, with counts
    page.get_by_role("button", name="Add a condition").click()
    field = page.get_by_label("Field of condition 1")
    expect(field).to_be_focused()
    offered = page.locator("#fields option[value='participant.metadata.language']")
    expect(offered).to_have_text(re.compile(r"in 2 of [23] events"))  # the agent's join is one, too
    # And once the field is named, its values
    field.fill("participant.metadata.language")
    field.blur()
    expect(page.locator("#values-0 option")).to_have_count(2)
    page.get_by_label("Values of condition 1").fill("es,")
    expect(page.locator("#values-0 option")).to_have_count(1)
    assert page.locator("#values-0 option").get_attribute("value") == "es, en"
    page.get_by_label("Values of condition 1").fill("fr")
    # Then the bar at the bottom warns that nothing matches
    page.get_by_label("Name", exact=True).fill("spanish")
    page.get_by_label("Agent name").fill("suport-es")
    expect(page.locator("#summary")).to_contain_text("Matches none of the last 2")
    expect(page.locator("#agent-hint")).to_contain_text("Did you mean support-es?")
    page.get_by_label("Agent name").fill("support-es")
    page.get_by_label("Values of condition 1").fill("es, en")
    expect(page.locator("#summary")).to_contain_text("Matches 2 of the last 2 · reached by 1")
    expect(page.locator("#agent-hint")).to_contain_text("Joined")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status").filter(has_text="Saved")).to_be_visible()
    assert pattern_of(stage, "spanish") == {"participant": {"metadata": {"language": ["es", "en"]}}}


def test_conditions_json_and_yaml_show_the_same(stage: Stage, context: BrowserContext) -> None:
    pattern = {"participant": {"attributes": {"plan": ["premium", {"prefix": "gold"}]}}}
    stage.add_rules({"name": "premium", "agent_name": "concierge", "pattern": pattern})
    page = context.new_page()
    log_in(page, stage, "eva", Role.EDITOR)
    page.goto(f"{stage.url}/console/rules/1")
    expect(page.get_by_label("Values of condition 2")).to_have_value("gold")
    # When a group is added and filled, then JSON has an $or
    page.get_by_role("button", name="Add groups").click()
    expect(page.get_by_label("Field of condition 4")).to_be_focused()
    fill_condition(page, 3, "room.name", "begins with", "vip-")
    fill_condition(page, 4, "participant.metadata.spent", "is a number greater than", "1000")
    page.get_by_role("button", name="JSON").click()
    spent = {"participant": {"metadata": {"spent": [{"numeric": [">", 1000]}]}}}
    expected: dict[str, Any] = {
        "participant": {"attributes": {"plan": ["premium", {"prefix": "gold"}]}},
        "$or": [{"room": {"name": [{"prefix": "vip-"}]}}, spent],
    }
    text = page.get_by_label("Pattern")
    assert json.loads(text.input_value()) == expected
    # When it is changed as YAML, then the conditions follow
    page.get_by_role("button", name="YAML").click()
    expect(page.get_by_role("button", name="YAML")).to_have_attribute("aria-pressed", "true")
    text.fill(text.input_value().replace("vip-", "gold-"))
    page.get_by_role("button", name="Conditions").click()
    expect(page.get_by_label("Values of condition 3")).to_have_value("gold-")
    # And a condition can be removed
    page.get_by_role("button", name="Remove condition 1").click()
    expect(page.get_by_label("Operator of condition 1")).to_have_value("begins")
    expect(page.get_by_label("Field of condition 1")).to_have_value("participant.attributes.plan")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status").filter(has_text="Saved")).to_be_visible()
    expected["participant"] = {"attributes": {"plan": [{"prefix": "gold"}]}}
    expected["$or"] = [{"room": {"name": [{"prefix": "gold-"}]}}, spent]
    assert pattern_of(stage, "premium") == expected
    # When JSON is beyond conditions, then it says why and stays
    page.get_by_role("button", name="JSON").click()
    page.get_by_label("Pattern").fill('{"a": {"$or": [{"b": [1]}, {"c": [1]}]}, "$or": [{"d": [1]}, {"e": [1]}]}')
    page.get_by_role("button", name="Conditions").click()
    expect(page.locator("#pattern-part")).to_contain_text("it has more than one $or")
    expect(page.get_by_label("Pattern")).to_be_visible()


def test_unsaved_changes_are_guarded(stage: Stage, context: BrowserContext) -> None:
    stage.add_rules({"name": "all", "pattern": {}, "agent_name": "greeter"})
    page = context.new_page()
    log_in(page, stage, "eva", Role.EDITOR)
    page.goto(f"{stage.url}/console/rules/1")
    questions: list[str] = []

    def stay(dialog: Dialog) -> None:
        questions.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", stay)
    # Changing the view alone changes nothing
    page.get_by_role("button", name="JSON").click()
    expect(page.get_by_label("Pattern")).to_be_visible()
    page.get_by_role("link", name="Back").click()
    expect(page.get_by_role("heading", name="Rules", exact=True)).to_be_visible()
    assert questions == []
    page.goto(f"{stage.url}/console/rules/1")
    page.get_by_label("Agent name").fill("other")
    page.get_by_role("link", name="Back").click(no_wait_after=True)
    expect(page.get_by_label("Agent name")).to_have_value("other")
    assert questions == ["beforeunload"]
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status").filter(has_text="Saved")).to_be_visible()
    assert questions == ["beforeunload"], "saving asks nothing"


def test_conditions_work_without_script(stage: Stage, context: BrowserContext) -> None:
    browser = context.browser
    assert browser is not None
    plain = browser.new_context(java_script_enabled=False)
    try:
        page = plain.new_page()
        log_in(page, stage, "eva", Role.EDITOR)
        page.goto(f"{stage.url}/console/rules/new")
        # Given a starting point, what is to be filled in is empty
        page.get_by_role("link", name="Room prefix").click()
        expect(page.get_by_label("Operator of condition 1")).to_have_value("begins")
        page.get_by_label("Name", exact=True).fill("halls")
        page.get_by_label("Values of condition 1").fill("hall-")
        page.get_by_role("button", name="Add a condition").click()
        fill_condition(page, 2, "participant.metadata.language", "is not any of", "de, fr")
        page.get_by_role("button", name="YAML").click()
        expect(page.get_by_label("Pattern")).to_contain_text("prefix: hall-")
        page.get_by_role("button", name="Conditions").click()
        expect(page.get_by_label("Values of condition 2")).to_have_value("de, fr")
        # When something is missing, then the condition says so, and nothing is lost
        page.get_by_label("Values of condition 2").fill("")
        page.get_by_label("Agent name").fill("greeter")
        page.get_by_role("button", name="Save").click()
        expect(page.locator("#pattern-part")).to_contain_text("Condition 2 needs at least one value")
        page.get_by_label("Values of condition 2").fill("de")
        unfold(page, "If the agent does not join")
        page.get_by_label("Fallbacks").fill("reception\nvoicemail")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_role("status").filter(has_text="Saved")).to_be_visible()
    finally:
        plain.close()
    assert pattern_of(stage, "halls") == {
        "room": {"name": [{"prefix": "hall-"}]},
        "participant": {"metadata": {"language": [{"anything-but": ["de"]}]}},
    }
    [row] = stage.rows("SELECT fallbacks FROM routing_rules")
    assert json.loads(row["fallbacks"]) == ["reception", "voicemail"]


def names_in_order(page: Page) -> list[str]:
    return page.get_by_role("table", name="Rules in matching order").locator("a.who").all_inner_texts()


def test_rules_are_ordered_by_buttons_choice_and_dragging(stage: Stage, context: BrowserContext) -> None:
    stage.add_rules(*({"name": name, "pattern": {}, "agent_name": "greeter"} for name in ("one", "two", "three")))
    page = context.new_page()
    log_in(page, stage, "eva", Role.EDITOR)
    page.goto(f"{stage.url}/console/rules")
    moved = page.get_by_role("status").filter(has_text="Moved")
    # By keyboard: the focus stays with the rule
    page.get_by_role("button", name="Move three up").press("Enter")
    expect(moved).to_be_visible()
    assert names_in_order(page) == ["one", "three", "two"]
    expect(page.get_by_role("button", name="Move three up")).to_be_focused()
    page.get_by_role("button", name="Move one down").click()
    expect(page.locator("tbody tr").first).to_contain_text("three")
    assert names_in_order(page) == ["three", "one", "two"]
    # By dragging
    page.goto(f"{stage.url}/console/rules")
    page.locator("#rule-2").drag_to(page.locator("#rule-3"))
    expect(moved).to_be_visible()
    assert names_in_order(page) == ["two", "three", "one"]
    # By choice, on the page of the rule
    page.get_by_role("link", name="one", exact=True).click()
    page.get_by_label("Move above").select_option("2")
    page.get_by_role("button", name="Move", exact=True).click()
    expect(moved).to_be_visible()
    expect(page.locator("aside")).to_contain_text("Tried as number 1 of 3")


def test_a_rule_is_switched_off_with_undo(stage: Stage, context: BrowserContext) -> None:
    stage.add_rules(
        {"name": "phone line", "pattern": {"room": {"name": ["hall"]}}, "agent_name": "phone-agent"},
        {"name": "rest", "pattern": {}, "agent_name": "reception", "priority": 200},
    )
    stage.join("hall", "ana")
    page = context.new_page()
    log_in(page, stage, "eva", Role.EDITOR)
    page.goto(f"{stage.url}/console/rules")
    page.get_by_role("button", name="Disable phone line").click()
    banner = page.get_by_role("status").filter(has_text="It is off")
    expect(banner).to_contain_text("to reception")
    banner.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("button", name="Disable phone line")).to_be_visible()
    page.get_by_role("button", name="Pause phone line for an hour").click()
    expect(page.get_by_role("status").filter(has_text="It is paused")).to_be_visible()
    page.get_by_role("button", name="Resume phone line").click()
    expect(page.get_by_role("button", name="Pause phone line for an hour")).to_be_visible()
    # And it can be duplicated
    page.get_by_role("link", name="phone line", exact=True).click()
    page.get_by_role("link", name="Duplicate").click()
    expect(page.get_by_label("Name", exact=True)).to_have_value("phone line (copy)")
    expect(page.get_by_label("Values of condition 1")).to_have_value("hall")


def test_hours_are_picked_and_a_calls_fields_chosen(stage: Stage, context: BrowserContext) -> None:
    # Given a call that no rule matched
    stage.join("lobby", "ana", {"language": "es", "account": 4410})
    page = context.new_page()
    log_in(page, stage, "eva", Role.EDITOR)
    page.get_by_role("link", name="ana", exact=True).first.click()
    page.get_by_role("link", name="Create a rule from this call").click()
    # When the rule is to ask for less than all, then it asks for what is chosen
    expect(page.get_by_label("participant.metadata.account")).to_be_checked()
    page.get_by_label("participant.metadata.account").uncheck()
    page.get_by_role("button", name="Use these").click()
    expect(page.get_by_label("Field of condition 1")).to_have_value("participant.metadata.language")
    expect(page.get_by_label("Field of condition 2")).to_have_count(0)
    page.get_by_label("Name", exact=True).fill("spanish, by day")
    page.get_by_label("Agent name").fill("support-es")
    # And hours are picked: weekdays are offered first
    unfold(page, "When, and for how many callers")
    page.get_by_role("button", name="Add hours").click()
    expect(page.get_by_label("Hours 1 from")).to_have_value("09:00")
    page.get_by_label("Hours 1 to").fill("17:30")
    page.get_by_role("button", name="Add hours").click()
    saturday = page.get_by_role("group", name="Hours 2")
    saturday.get_by_label("Sa").check()
    page.get_by_label("Hours 2 from").fill("22:00")
    page.get_by_label("Hours 2 to").fill("02:00")
    page.get_by_role("button", name="Text", exact=True).click()
    expect(page.get_by_label("Active hours")).to_have_value("Mo-Fr 09:00-17:30, Sa 22:00-02:00")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status").filter(has_text="Saved")).to_be_visible()
    [row] = stage.rows("SELECT active_hours FROM routing_rules")
    assert row["active_hours"] == "Mo-Fr 09:00-17:30, Sa 22:00-02:00"
    assert pattern_of(stage, "spanish, by day") == {"participant": {"metadata": {"language": ["es"]}}}


def test_a_draft_is_tried_applied_and_undone(stage: Stage, context: BrowserContext) -> None:
    stage.add_rules({"name": "all", "pattern": {}, "agent_name": "support-en"})
    stage.join("hall", "ana", {"language": "es"})
    page = context.new_page()
    log_in(page, stage, "eva", Role.EDITOR)
    page.goto(f"{stage.url}/console/rules/1")
    page.get_by_label("Agent name").fill("support-es")
    page.get_by_role("button", name="Try on the last day").click()
    result = page.get_by_role("region", name="On the last 24 hours")
    expect(result).to_contain_text(re.compile(r"1 of \d events would go another way"))
    expect(result.get_by_role("link", name="ana")).to_be_visible()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status").filter(has_text="Saved")).to_be_visible()
    page.get_by_role("link", name="History").click()
    expect(page.get_by_role("table").first).to_contain_text("support-en")
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Undo version 2 of all").click()
    expect(page.get_by_role("status").filter(has_text="Undone")).to_be_visible()
    [row] = stage.rows("SELECT agent_name FROM routing_rules")
    assert row["agent_name"] == "support-en"
