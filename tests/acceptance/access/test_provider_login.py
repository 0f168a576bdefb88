"""A login at a real OpenID Connect provider, which runs as a process, with a real `usher serve`."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin

import httpx2
import pytest

from tests.acceptance.access.test_first_start import NoLiveKit
from tests.harness.polling import eventually
from tests.harness.ports import LOOPBACK, accepts_connections, free_ports
from tests.harness.process import Process
from tests.harness.usher import Usher

ANA = {"sub": "ana-1", "email": "ana@example.com", "email_verified": True}
EVA = {"sub": "eva-1", "email": "eva@example.com", "email_verified": False}


class Provider(Process):
    """The program `oidc-provider-mock`, at which people log in by a click."""

    def __init__(self, directory: Path, port: int, *people: dict[str, object]) -> None:
        self.port = port
        self.url = f"http://{LOOPBACK}:{port}"
        named: list[str] = [word for person in people for word in ("--user-claims", json.dumps(person))]
        command: list[str | Path] = [Path(sys.executable).with_name("oidc-provider-mock"), "--port", str(port), *named]
        super().__init__("provider", command, directory=directory)

    def start(self, *, stdin: bool = False, stdout: bool = False) -> None:
        super().start(stdin=stdin, stdout=stdout)
        eventually(lambda: accepts_connections(self.port), within=60, what="the provider listens")
        # Its first answers make its key and load what it needs, which must not count as an answer that Usher waits for
        for path in ("/.well-known/openid-configuration", "/jwks"):
            httpx2.get(f"{self.url}{path}", timeout=60).raise_for_status()


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Provider]:
    # Says when ana has logged in, as providers do that are asked for a new login
    made = Provider(tmp_path, free_ports(1)[0], {**ANA, "auth_time": int(time.time()) + 600}, EVA)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def usher(tmp_path: Path, provider: Provider) -> Iterator[Usher]:
    port = free_ports(1)[0]
    settings = {
        "USHER_PUBLIC_URL": f"http://{LOOPBACK}:{port}",
        "USHER_OIDC_ISSUER": provider.url,
        "USHER_OIDC_CLIENT_ID": "usher",
        "USHER_OIDC_CLIENT_SECRET": "secret",
        "USHER_OIDC_NAME": "the provider",
        "USHER_SWEEP_INTERVAL": "0",
    }
    made = Usher(NoLiveKit(), port=port, directory=tmp_path, settings=settings)
    made.start()
    yield made
    made.stop()


def log_in_as(browser: httpx2.Client, usher: Usher, subject: str, path: str) -> httpx2.Response:
    """Open `path` of Usher, which leads to the provider; log in there; return the page at which it ends."""
    at_provider = browser.get(f"http://{LOOPBACK}:{usher.port}{path}")
    assert "Authorize Client" in at_provider.text, at_provider.text
    return browser.post(str(at_provider.url), data={"sub": subject})


def test_a_person_logs_in_at_the_provider_and_makes_a_token(usher: Usher) -> None:
    # Given a user without a password, named by the address
    usher.run("users", "add", "ana@example.com", "--role", "editor")
    with httpx2.Client(follow_redirects=True, timeout=60) as browser:
        # When she opens a page, follows the button, and logs in at the provider
        login = browser.get(f"http://{LOOPBACK}:{usher.port}/console/rules")
        button = re.search(r'href="(/console/oidc/login[^"]*)"', login.text)
        assert button, login.text
        page = log_in_as(browser, usher, "ana-1", button[1].replace("&amp;", "&"))
        # Then she is at that page
        assert page.status_code == 200
        assert page.url.path == "/console/rules"
        assert "ana@example.com" in page.text
        # And makes a token after another login at the provider
        done = log_in_as(browser, usher, "ana-1", "/console/oidc/confirm?next=/console/account")
        assert "You have confirmed who you are" in done.text
        [csrf] = set(re.findall(r'name="csrf" value="(\w+)"', done.text))
        form = {"csrf": csrf, "token_name": "ci", "role": "viewer"}
        made = browser.post(urljoin(str(done.url), "/console/account/tokens"), data=form)
        assert "shown only once" in made.text
    [user] = json.loads(usher.run("users", "list", "--json"))
    assert (user["name"], user["has_password"], user["has_identity"]) == ("ana@example.com", False, True)
    assert user["last_login_at"]


def test_who_is_no_user_or_cancels_or_has_no_verified_address_stays_out(usher: Usher) -> None:
    usher.run("users", "add", "eva@example.com")
    with httpx2.Client(follow_redirects=True, timeout=60) as browser:
        page = log_in_as(browser, usher, "ana-1", "/console/oidc/login")
        assert (page.status_code, "have no user in Usher yet" in page.text) == (403, True)
        page = log_in_as(browser, usher, "eva-1", "/console/oidc/login")
        assert (page.status_code, "not verified your e-mail address" in page.text) == (403, True)
        at_provider = browser.get(f"http://{LOOPBACK}:{usher.port}/console/oidc/login")
        page = browser.post(str(at_provider.url), data={"action": "deny"})
        assert (page.status_code, "You have cancelled the login" in page.text) == (403, True)
    logged = json.loads(usher.run("users", "logins", "--json"))
    assert {one["kind"] for one in logged} == {"login_failed"}
