"""The documentation in a browser: on a narrow screen, without JavaScript, by keyboard."""

from __future__ import annotations

from playwright.sync_api import Browser, expect

from app.server.documentation.library import library
from tests.harness.stage import Stage


def test_no_page_scrolls_sideways_at_320_pixels_and_none_needs_javascript(browser: Browser, stage: Stage) -> None:
    context = browser.new_context(viewport={"width": 320, "height": 640}, java_script_enabled=True)
    page = context.new_page()
    page.route("**/*.js", lambda route: route.abort())
    wide = []
    for name in sorted(library().pages):
        page.goto(f"{stage.url}/docs/{'' if name == 'index' else name}")
        wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if wider > 0:
            wide.append(f"{name}: {wider} pixels")
    context.close()
    assert wide == []


def test_a_reader_searches_and_turns_pages_without_javascript(browser: Browser, stage: Stage) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 800}, java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{stage.url}/docs/")
    page.get_by_role("searchbox").fill("restore a backup")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Back up and restore").click()
    expect(page.get_by_role("heading", name="Back up and restore")).to_be_in_viewport()
    following = page.get_by_role("navigation", name="Previous and next page").get_by_role("link").last
    title = following.inner_text().rpartition("\n")[2]
    following.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(title.removeprefix("Next").strip())
    page.goto(f"{stage.url}/docs/no-such-page")
    expect(page.get_by_role("heading", name="Page not found")).to_be_visible()
    expect(page.get_by_role("searchbox")).to_have_value("no such page")
    context.close()
