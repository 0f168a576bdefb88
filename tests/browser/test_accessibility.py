"""WCAG A and AA by axe on every page: light, dark, wide, narrow, English, German; tables fit, with long names, too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from app.accounts.roles import Role
from tests.browser.scenery import set_scene
from tests.browser.screenshots import SIZES, Scheme, log_in, pages
from tests.harness.stage import Stage
from tests.harness.stage import stage as build_stage

_RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
_CUT = """() => {
  for (const one of document.querySelectorAll("main details")) one.open = true;
  const tables = [...document.querySelectorAll("main .scroll")].filter((one) => one.scrollWidth > one.clientWidth)
    .map((one) => `a table, by ${one.scrollWidth - one.clientWidth} pixels`);
  const choices = [...document.querySelectorAll("main td select")].filter((one) => {
    const whole = one.cloneNode(true);
    whole.style.cssText = "width: max-content; min-width: 0";
    one.after(whole);
    const isCut = whole.offsetWidth > one.offsetWidth;
    whole.remove();
    return isCut;
  });
  return [...tables, ...choices.map((one) => `the choice ${one.name}`)];
}"""
"""Returns what is cut on a page whose details are open."""
_RULE, _AGENT, _CALLER = "L" * 200, "A" * 200, "I" * 250
_OVERFLOW = """() => [document.documentElement, ...document.querySelectorAll(".scroll:has(> table.cards)")]
    .filter((one) => one.scrollWidth > one.clientWidth + 1).map((one) => `${one.className} ${one.scrollWidth}`)"""
_BEHIND_THE_BAR = """() => {
  const [bar, one] = [document.querySelector(".save-bar"), document.activeElement];
  if (!one.closest("main form") || bar.contains(one)) return [];
  const [above, place] = [bar.getBoundingClientRect(), one.getBoundingClientRect()];
  return place.bottom > above.top && place.top < above.bottom ? [`${one.tagName} ${one.name ?? one.innerText}`] : [];
}"""
"""Returns what has the focus, if any of it is behind the bar."""


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder: Path = tmp_path_factory.mktemp("stage")
    with build_stage(folder) as built:
        set_scene(built)
        yield built


@pytest.mark.parametrize(
    ("scheme", "size", "locale"),
    [("light", "wide", "en-US"), ("dark", "narrow", "en-US"), ("light", "narrow", "de-DE")],
)
def test_every_page_is_accessible(browser: Browser, busy: Stage, scheme: Scheme, size: str, locale: str) -> None:
    width, height = SIZES[size]
    context = browser.new_context(
        color_scheme=scheme,
        locale=locale,
        viewport={"width": width, "height": height},
    )
    found: list[str] = []
    try:
        page = context.new_page()
        page.goto(f"{busy.url}/console/login")
        found += _violations("login", Axe().run(page, options=_RULES).response)
        log_in(context, busy.url)
        for name, path in pages(busy).items():
            page.goto(busy.url + path)
            page.wait_for_load_state("load")
            found += _violations(name, Axe().run(page, options=_RULES).response)
            wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            if wider > 0:
                found.append(f"{name}: scrolls sideways by {wider} pixels")
    finally:
        context.close()
    assert found == []


@pytest.mark.parametrize(("locale", "width"), [("en-US", 1280), ("de-DE", 1280), ("de-DE", 390)])
def test_no_table_and_no_choice_is_cut(browser: Browser, busy: Stage, locale: str, width: int) -> None:
    context = browser.new_context(locale=locale, viewport={"width": width, "height": 800})
    found: list[str] = []
    try:
        page = context.new_page()
        log_in(context, busy.url)
        for name, path in pages(busy).items():
            if width < 1000 and path.startswith("/docs"):
                continue  # tables of the documentation are wide: they scroll, by keyboard, too
            page.goto(busy.url + path)
            found += [f"{name}: {one}" for one in page.evaluate(_CUT)]
    finally:
        context.close()
    assert found == []


def _violations(page: str, response: dict[str, list[dict[str, Any]]]) -> list[str]:
    return [
        f"{page}: {violation['id']}: {violation['help']}: {node['html'][:160]}"
        for violation in response["violations"]
        for node in violation["nodes"][:3]
    ]


@pytest.mark.parametrize("width", [1440, 390])
def test_long_names_push_nothing_out_of_sight(stage: Stage, context: BrowserContext, width: int) -> None:
    pattern = {"event": ["participant_joined"]}
    stage.add_rules({"name": _RULE, "pattern": pattern, "agent_name": _AGENT, "answer_timeout_s": 1, "max_attempts": 1})
    stage.join("R" * 250, _CALLER, name="N" * 250)
    stage.wait_for(_CALLER, "no_show")
    stage.add_user("maria", Role.ADMIN)
    log_in(context, stage.url)
    page = context.new_page()
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(f"{stage.url}/console/")
    page.locator(".banner h2", has_text=_AGENT).wait_for()  # the incident has opened
    (call,) = stage.rows("SELECT event_id FROM dispatches")
    pages = ["", "calls", f"calls/{call['event_id']}", "rules", "rules/1", "history", "agents", f"agents/{_AGENT}"]
    too_wide = {}
    for path in (*pages, "incidents", "trends", "queue", "simulate"):
        page.goto(f"{stage.url}/console/{path}")
        if found := page.evaluate(_OVERFLOW):
            too_wide[path] = found
    assert too_wide == {}


@pytest.mark.parametrize("size", ["wide", "narrow"])
def test_the_keyboard_reaches_nothing_behind_the_bar_of_a_form(browser: Browser, busy: Stage, size: str) -> None:
    width, height = SIZES[size]
    context = browser.new_context(viewport={"width": width, "height": height})
    behind: list[str] = []
    try:
        log_in(context, busy.url)
        page = context.new_page()
        page.goto(f"{busy.url}/console/rules/new")
        page.evaluate('for (const one of document.querySelectorAll("main details")) one.open = true')
        fields = page.locator("main form :is(input, select, textarea, button, summary):visible").count()
        for _ in range(fields):
            page.keyboard.press("Tab")
            behind += page.evaluate(_BEHIND_THE_BAR)
        assert fields > 40
    finally:
        context.close()
    assert behind == []


def test_after_a_refusal_the_keyboard_is_at_the_first_mistake(stage: Stage, context: BrowserContext) -> None:
    stage.add_user("maria", Role.ADMIN)
    log_in(context, stage.url)
    page = context.new_page()
    focused = page.locator("main :focus")
    # Users: the name is taken
    page.goto(f"{stage.url}/console/users")
    page.locator("#name").fill("maria")
    page.get_by_role("button", name="Add and create a password link").click()
    expect(focused).to_have_id("name")
    expect(focused).to_have_attribute("aria-invalid", "true")
    expect(page.locator(f"#{focused.get_attribute('aria-describedby')}")).to_contain_text("maria")
    # Your account: the password of now is another
    page.goto(f"{stage.url}/console/account")
    for field, text in {
        "old": "not the password",
        "password": "quite another one",
        "repeated": "quite another one",
    }.items():
        page.locator(f"#{field}").fill(text)
    page.get_by_role("button", name="Change password").click()
    expect(focused).to_have_id("old")
    # Rules: there is no pattern of a name that does not exist
    page.goto(f"{stage.url}/console/rules/new")
    page.locator("#agent_name").fill("greeter")
    page.get_by_role("button", name="Save").click()
    expect(focused).to_have_id("name")
    # What is wrong with no one field is read first itself
    page.goto(f"{stage.url}/console/simulate")
    page.locator("#rules").fill("rules: 7")
    page.get_by_role("button", name="Simulate").click()
    expect(focused).to_have_id("mistakes")


def low_page(stage: Stage, context: BrowserContext, path: str) -> Page:
    """Return a page of the console, seen by an admin in a window too low for all of it."""
    stage.add_user("maria", Role.ADMIN)
    log_in(context, stage.url)
    page = context.new_page()
    page.set_viewport_size({"width": 1280, "height": 400})
    page.goto(f"{stage.url}{path}")
    return page


def top_of(element: Locator) -> float:
    """Return where an element begins in the window, in pixels."""
    top: float = element.evaluate("(one) => one.getBoundingClientRect().top")
    return top


def test_what_is_read_stays_in_its_place_while_the_page_now_renews_itself(
    stage: Stage, context: BrowserContext
) -> None:
    stage.add_rules({"name": "all", "pattern": {"event": ["participant_joined"]}, "agent_name": "nobody"})
    for number in range(4):
        stage.join(f"room {number}", f"caller {number}")
    page = low_page(stage, context, "/console/")
    waiting = page.get_by_role("table", name="Waiting for an agent").locator("tbody tr")
    expect(waiting).to_have_count(4)
    read = page.get_by_role("heading", name="Latest calls")
    read.scroll_into_view_if_needed()
    page.evaluate("scrollBy(0, 150)")
    before = top_of(read)
    for number in range(4, 8):
        stage.join(f"room {number}", f"caller {number}")
    expect(waiting).to_have_count(8)
    after = top_of(read)
    assert abs(after - before) <= 1


def test_the_call_that_is_read_stays_in_its_place_while_the_list_renews_itself(
    stage: Stage, context: BrowserContext
) -> None:
    for number in range(8):
        stage.join(f"room {number}", f"caller {number}")
    page = low_page(stage, context, "/console/calls")
    expect(page.locator("#calls tbody tr")).to_have_count(8)
    read = page.locator("#calls tr", has_text="caller 4")
    read.evaluate("(one) => scrollTo(0, one.getBoundingClientRect().top + scrollY - 5)")
    before = top_of(read)
    for number in range(8, 11):
        stage.join(f"room {number}", f"caller {number}")
    expect(page.locator("#calls tbody tr")).to_have_count(11)
    after = top_of(read)
    assert abs(after - before) <= 1
