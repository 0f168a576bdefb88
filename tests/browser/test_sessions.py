"""Logging in through a provider, logging out, and sessions in several browsers, as a person sees them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from app.accounts.roles import Role
from app.accounts.users import add_user
from tests.browser.conftest import log_in
from tests.conftest import PASSWORD
from tests.harness.stage import Stage
from tests.harness.stage import stage as build_stage


def test_the_back_button_shows_nothing_after_the_log_out(stage: Stage, context: BrowserContext) -> None:
    page = context.new_page()
    log_in(page, stage, "maria", Role.ADMIN)
    copied = context.cookies()
    page.goto(f"{stage.url}/console/users")
    expect(page.get_by_role("heading", name="Users", exact=True)).to_be_visible()
    # When maria logs out and goes back
    page.get_by_role("button", name="Log out", exact=True).click()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    page.go_back()
    # Then the page is asked for again, and the login is shown in its place
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    assert "maria" not in page.content()
    # And a copy of the cookie opens nothing
    context.clear_cookies()
    context.add_cookies(copied)  # type: ignore[arg-type] # as playwright gives them
    page.goto(f"{stage.url}/console/users")
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()


def test_what_is_typed_when_a_session_ends_is_kept_and_sent(stage: Stage, context: BrowserContext) -> None:
    # Given an editor who types while the session ends
    page = context.new_page()
    log_in(page, stage, "eva", Role.EDITOR)
    page.goto(f"{stage.url}/console/rules/new")
    page.get_by_label("Name", exact=True).fill("halls")
    expect(page.locator("#trial")).to_contain_text("would match")
    stage.write(lambda c: c.exec_driver_sql("DELETE FROM sessions"))
    # Then the live check says so, and the text stays
    page.get_by_label("Agent name").fill("greeter")
    ended = page.get_by_role("alert").filter(has_text="You are not logged in any more")
    expect(ended).to_be_visible()
    expect(page.get_by_label("Name", exact=True)).to_have_value("halls")
    # When it is sent, then a login in another tab is enough to go on
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="You are not logged in any more")).to_be_visible()
    with context.expect_page() as opened:
        page.get_by_role("link", name="Log in in another tab").click()
    login = opened.value
    login.get_by_label("Name").fill("eva")
    login.get_by_label("Password").fill(PASSWORD)
    login.get_by_role("button", name="Log in").click()
    expect(login.get_by_text("go back to the one with your form")).to_be_visible()
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("status").filter(has_text="Saved")).to_be_visible()
    assert [row["agent_name"] for row in stage.rows("SELECT agent_name FROM routing_rules")] == ["greeter"]


def test_sessions_in_other_browsers_are_listed_and_ended(
    stage: Stage, context: BrowserContext, browser: Browser
) -> None:
    page = context.new_page()
    log_in(page, stage, "eva", Role.EDITOR)
    with browser.new_context(user_agent="Mozilla/5.0 (X11; Linux) Gecko/20100101 Firefox/140.0") as elsewhere:
        laptop = elsewhere.new_page()
        log_in(laptop, stage, "eva")
        page.goto(f"{stage.url}/console/account")
        table = page.get_by_role("table", name="Sessions")
        expect(table.get_by_role("row")).to_have_count(3)
        expect(table.get_by_role("row", name="this one")).to_contain_text("Chrome on Linux")
        # When eva ends the one in Firefox, then that browser is at the login, and this one is not
        table.get_by_role("button", name="Firefox").click()
        expect(page.get_by_role("status")).to_contain_text("The session has ended")
        expect(page.get_by_role("table", name="Sessions").get_by_role("row")).to_have_count(2)
        laptop.goto(f"{stage.url}/console/rules")
        expect(laptop.get_by_role("heading", name="Log in")).to_be_visible()
        # And all others end at once
        log_in(laptop, stage, "eva")
        page.reload()
        page.get_by_role("button", name="End all other sessions").click()
        expect(page.get_by_role("status")).to_contain_text("other sessions have ended")
        laptop.goto(f"{stage.url}/console/rules")
        expect(laptop.get_by_role("heading", name="Log in")).to_be_visible()


def test_a_token_is_made_after_the_password_was_typed_again(stage: Stage, context: BrowserContext) -> None:
    page = context.new_page()
    log_in(page, stage, "maria", Role.ADMIN)
    stage.write(
        lambda c: c.exec_driver_sql("UPDATE sessions SET password_checked_at = '2026-01-01T00:00:00.000000Z'").rowcount
    )
    page.goto(f"{stage.url}/console/account")
    page.get_by_label("Purpose").fill("token server")
    page.get_by_role("button", name="Create a token").click()
    expect(page.get_by_role("heading", name="Confirm your password")).to_be_visible()
    page.get_by_label("Password").fill("a wrong password")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("alert")).to_contain_text("not your password")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("status")).to_contain_text("Your new token")
    expect(page.get_by_role("table", name="API tokens")).to_contain_text("token server")


def test_admins_read_who_logged_in_and_who_failed(stage: Stage, context: BrowserContext) -> None:
    page = context.new_page()
    stage.add_user("eva", Role.EDITOR)
    page.goto(f"{stage.url}/console/login")
    page.get_by_label("Name").fill("eva")
    page.get_by_label("Password").fill("a wrong password")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_contain_text("wrong")
    log_in(page, stage, "maria", Role.ADMIN)
    page.goto(f"{stage.url}/console/users")
    page.get_by_role("link", name="Logins and refusals").click()
    _wait_for_row(page, "login failed")
    expect(page.get_by_role("row", name="login failed")).to_contain_text("eva")
    page.get_by_label("Kind").select_option("login")
    page.get_by_role("button", name="Find").click()
    expect(page.get_by_role("table").get_by_role("row")).to_have_count(2)
    expect(page.get_by_role("table")).to_contain_text("maria")


@pytest.fixture
def stage_with_provider(tmp_path: Path) -> Iterator[Stage]:
    with build_stage(tmp_path, with_login_provider=True) as built:
        built.login_provider.people = {
            "Eva": {"sub": "1", "email": "eva@example.com", "email_verified": True},
            "Ana": {"sub": "2", "email": "ana@example.com", "email_verified": True},
        }
        built.login_provider.discovery["end_session_endpoint"] = f"{built.login_provider.url}/logout"
        yield built


def test_a_person_logs_in_through_the_provider_confirms_a_kept_form_and_logs_out(
    stage_with_provider: Stage, context: BrowserContext
) -> None:
    stage = stage_with_provider
    # Given a user of that name, and a person who is logged in at the provider as somebody else
    stage.write(lambda c: add_user(c, "ana@example.com", Role.EDITOR, by="test", now=datetime.now(UTC)))
    page = context.new_page()
    page.goto(f"{stage.url}/console/account")
    page.get_by_role("link", name="Log in with Example SSO").click()
    page.get_by_role("link", name="Eva").click()
    expect(page.get_by_role("alert")).to_contain_text("eva@example.com")
    # When she uses another account, then she is at the page that she wanted
    page.get_by_role("link", name="Use another account").click()
    page.get_by_role("link", name="Ana").click()
    expect(page.get_by_role("heading", name="ana@example.com")).to_be_visible()
    # When she makes a token long after the login
    stage.write(
        lambda c: c.exec_driver_sql("UPDATE sessions SET password_checked_at = '2026-01-01T00:00:00.000000Z'").rowcount
    )
    page.get_by_label("Purpose").fill("token server")
    page.get_by_role("button", name="Create a token").click()
    expect(page.get_by_role("heading", name="Confirm who you are")).to_be_visible()
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("alert")).to_contain_text("not logged in with Example SSO again yet")
    # Then another person cannot confirm it in the other tab, and she can
    with context.expect_page() as opened:
        page.get_by_role("link", name="Log in with Example SSO again").click()
    tab = opened.value
    tab.get_by_role("link", name="Eva").click()
    expect(tab.get_by_role("heading", name="Not confirmed")).to_be_visible()
    tab.get_by_role("link", name="Log in with Example SSO again").click()
    tab.get_by_role("link", name="Ana").click()
    expect(tab.get_by_role("heading", name="You have confirmed who you are")).to_be_visible()
    tab.close()
    # And the form has kept what she typed
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("status")).to_contain_text("Your new token")
    expect(page.get_by_role("table", name="API tokens")).to_contain_text("token server")
    # When she logs out, then she can do so at the provider, too
    page.get_by_role("button", name="Log out").click()
    page.get_by_role("link", name="Log out at Example SSO, too").click()
    expect(page.get_by_role("heading", name="You are logged out everywhere")).to_be_visible()
    page.goto(f"{stage.url}/console/account")
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()


def _wait_for_row(page: Page, text: str) -> None:
    """Reload until the log, which is written in the background, has a row with `text`."""
    for _ in range(300):
        if page.get_by_role("row", name=text).count():
            return
        page.wait_for_timeout(200)
        page.reload()
    raise AssertionError(f"no row with {text!r}")
