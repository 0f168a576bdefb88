"""A person logs in through the provider, confirms there what they do, and logs out."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, expect

from app.accounts.roles import Role
from app.accounts.users import add_user
from tests.harness.stage import Stage
from tests.harness.stage import stage as build_stage


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with build_stage(tmp_path, with_login_provider=True) as built:
        built.login_provider.people = {
            "Eva": {"sub": "1", "email": "eva@example.com", "email_verified": True},
            "Ana": {"sub": "2", "email": "ana@example.com", "email_verified": True},
        }
        built.login_provider.discovery["end_session_endpoint"] = f"{built.login_provider.url}/logout"
        yield built


def test_a_person_logs_in_through_the_provider_confirms_a_kept_form_and_logs_out(
    stage: Stage, context: BrowserContext
) -> None:
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
