"""`make screenshots`: every page of the console, light and dark, wide and narrow, as PNG files.

python -m tests.browser.screenshots [FOLDER], or with --readme the two pictures that the README shows.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Literal, TypeAlias

from playwright.sync_api import Browser, BrowserContext

from tests.browser.chromium import chromium, find_chromium
from tests.browser.scenery import set_scene
from tests.conftest import PASSWORD
from tests.harness.stage import Stage, stage

Scheme: TypeAlias = Literal["light", "dark"]

SIZES = {"wide": (1440, 900), "narrow": (390, 844)}
FOLDER = Path(".cache/screenshots")
README_PICTURES = {"now": (1440, 1240), "call-fallback": (1280, 980)}
README_FOLDER = Path(".github/pictures")


def pages(stage: Stage) -> dict[str, str]:
    """Return the address of each page by the name of its picture."""
    events = {row["participant_identity"]: row["id"] for row in stage.rows("SELECT * FROM events ORDER BY id DESC")}
    change_sets = stage.rows("SELECT change_set FROM rule_changes GROUP BY change_set ORDER BY count(*) DESC")
    return {
        "now": "/console/",
        "calls": "/console/calls",
        "calls-view": "/console/calls?outcome=no_agent",
        "calls-save": "/console/calls?state=answered",
        "views": "/console/views",
        "call-answered": f"/console/calls/{events['ana.perez']}",
        "call-fallback": f"/console/calls/{events['lady.gold']}",
        "call-no-show": f"/console/calls/{events['dora.lee']}",
        "call-no-match": f"/console/calls/{events['visitor-93']}",
        "rules": "/console/rules",
        "rule": "/console/rules/1",
        "rule-rollout": "/console/rules/5",
        "rule-doubtful": "/console/rules/7",
        "rule-new": f"/console/rules/new?from={events['visitor-93']}",
        "history": "/console/history",
        "history-undo": f"/console/history/set?id={change_sets[0]['change_set']}",
        "lookups": "/console/lookups",
        "lookup-new": "/console/new-lookup",
        "agents": "/console/agents?hours=168",
        "agent": "/console/agents/phone-agent?hours=168",
        "trends": "/console/trends?hours=168",
        "trends-agent": "/console/trends?hours=24&agent=phone-agent",
        "queue": "/console/queue",
        "incidents": "/console/incidents",
        "notifications": "/console/notifications",
        "simulate": "/console/simulate",
        "users": "/console/users",
        "reads": "/console/reads",
        "sessions": f"/console/users/{stage.rows('SELECT id FROM users ORDER BY id')[0]['id']}/sessions",
        "logins": "/console/logins",
        "account": "/console/account",
        "api": "/api",
        "docs": "/docs/",
        "docs-page": "/docs/operations",
        "docs-table": "/docs/rule-conditions",
        "docs-search": "/docs/search?q=backup",
        "docs-missing": "/docs/unheard-of",
    }


def log_in(context: BrowserContext, url: str, name: str = "maria") -> None:
    page = context.new_page()
    page.goto(f"{url}/console/login")
    page.fill("#name", name)
    page.fill("#password", PASSWORD)
    page.press("#password", "Enter")
    page.wait_for_url(f"{url}/console/")
    page.close()


def take(browser: Browser, stage: Stage, folder: Path) -> int:
    """Take all pictures; return how many."""
    taken = 0
    schemes: tuple[Scheme, ...] = ("light", "dark")
    for scheme in schemes:
        for size, (width, height) in SIZES.items():
            context = browser.new_context(
                color_scheme=scheme,
                viewport={"width": width, "height": height},
                timezone_id="Europe/Madrid",
                locale="en-GB",
            )
            page = context.new_page()
            page.goto(f"{stage.url}/console/login")
            page.screenshot(path=folder / f"login-{scheme}-{size}.png")
            page.close()
            log_in(context, stage.url)
            page = context.new_page()
            for name, path in pages(stage).items():
                page.goto(stage.url + path)
                if name.startswith("rule"):
                    page.wait_for_timeout(900)
                if name == "simulate":
                    text = page.input_value("#rules").replace("agent_name: support-en", "agent_name: support-next")
                    page.fill("#rules", text)
                    page.click("main button:has-text('Simulate')")
                page.wait_for_load_state("load")
                if name.startswith("trends"):
                    page.wait_for_selector("[data-drawn]")
                page.screenshot(path=folder / f"{name}-{scheme}-{size}.png", full_page=name != "api")
                taken += 1
            context.close()
    return taken


def take_for_readme(browser: Browser, stage: Stage, folder: Path) -> int:
    """Take the README's pictures, as far as a screen reaches; return how many."""
    for name, (width, height) in README_PICTURES.items():
        context = browser.new_context(viewport={"width": width, "height": height}, locale="en-GB")
        log_in(context, stage.url)
        page = context.new_page()
        page.goto(stage.url + pages(stage)[name])
        page.wait_for_load_state("load")
        page.screenshot(path=folder / f"{name}.png")
        context.close()
    return len(README_PICTURES)


def main() -> None:
    """Take the pictures into the folder named on the command line."""
    for_readme = "--readme" in sys.argv[1:]
    named = [Path(argument) for argument in sys.argv[1:] if not argument.startswith("--")]
    folder = named[0] if named else README_FOLDER if for_readme else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    path = find_chromium()
    if path is None:
        sys.exit("Chromium is needed: apt-get install chromium")
    with tempfile.TemporaryDirectory() as place, stage(Path(place)) as built, chromium(path) as browser:
        set_scene(built)
        taken = take_for_readme(browser, built, folder) if for_readme else take(browser, built, folder)
    sys.stdout.write(f"{taken} pictures in {folder}\n")


if __name__ == "__main__":
    main()
