"""One browser per file, one running Usher per test."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from app.accounts.roles import Role
from tests.browser.chromium import chromium, find_chromium
from tests.conftest import PASSWORD, missing
from tests.harness.stage import Stage
from tests.harness.stage import stage as build_stage


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    # No longer than its file: while playwright runs, no other test of the process can have an event loop.
    path = find_chromium()
    if path is None:
        missing("Chromium (apt-get install chromium)")
    expect.set_options(timeout=60_000)
    with chromium(path) as browser:
        yield browser


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with build_stage(tmp_path) as built:
        yield built


def zone_of_the_viewer() -> str:
    """Return Madrid, or New York from 22:00 to 01:00 in Madrid: what a test does is then of one day of the viewer."""
    return "Europe/Madrid" if 1 <= datetime.now(ZoneInfo("Europe/Madrid")).hour < 22 else "America/New_York"


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(timezone_id=zone_of_the_viewer(), locale="en-GB")
    context.set_default_timeout(60_000)
    yield context
    context.close()


def log_in(page: Page, stage: Stage, name: str, role: Role | None = None) -> None:
    """Log in as `name`, who is added first if `role` is given."""
    if role is not None:
        stage.add_user(name, role)
    page.goto(f"{stage.url}/console/login")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Now", exact=True)).to_be_visible()


def write_pattern(page: Page, pattern: str) -> None:
    """Write the pattern of a rule as JSON in its form."""
    page.get_by_role("button", name="JSON").click()
    page.get_by_label("Pattern").fill(pattern)


def unfold(page: Page, heading: str) -> None:
    """Show a folded group of fields in the form of a rule."""
    page.locator("details.fold summary").filter(has_text=heading).click()
