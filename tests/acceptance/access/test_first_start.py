"""The first start of a service that others reach under a public URL."""

from __future__ import annotations

import http.client
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.harness.ports import LOOPBACK, free_ports
from tests.harness.usher import Usher

PUBLIC = "https://usher.example.com"


@dataclass
class NoLiveKit:
    """A LiveKit that does not answer, with a secret of one letter."""

    api_key: str = "key"
    api_secret: str = "x"
    url: str = "ws://127.0.0.1:9"
    http_url: str = "http://127.0.0.1:9"

    @property
    def environment(self) -> dict[str, str]:
        return {"LIVEKIT_URL": self.url, "LIVEKIT_API_KEY": self.api_key, "LIVEKIT_API_SECRET": self.api_secret}


def ask(usher: Usher, method: str, path: str, host: str, body: str | None = None) -> http.client.HTTPResponse:
    with closing(http.client.HTTPConnection(LOOPBACK, usher.port, timeout=60)) as connection:
        connection.request(method, path, body, {"Host": host})
        response = connection.getresponse()
        response.read()
        return response


@pytest.fixture
def settings() -> dict[str, str]:
    return {"USHER_PUBLIC_URL": PUBLIC, "USHER_SWEEP_INTERVAL": "0", "USHER_LOG_FORMAT": "json"}


def test_links_and_hosts_follow_the_public_url_and_a_weak_secret_is_reported(
    tmp_path: Path, settings: dict[str, str]
) -> None:
    # Given a service with a public URL, no users, and a secret of one letter
    usher = Usher(NoLiveKit(), port=free_ports(1)[0], directory=tmp_path, settings=settings)
    try:
        usher.start()
        # Then its log has the link for the first admin at the public URL, and a warning, but not the secret
        usher.wait_until(lambda: f"{PUBLIC}/console/welcome/" in usher.log.read_text(), within=30, what="the link")
        log = usher.log.read_text()
        [warning] = [line for line in log.splitlines() if "a setting is weak" in line]
        assert "LIVEKIT_API_SECRET" in warning
        assert "1 characters" in warning
        assert f"{PUBLIC}/console/password/" in usher.run("users", "add", "maria", "--role", "admin")
        # And console and API are answered for the public host only, with cookies and headers for TLS
        login = ask(usher, "GET", "/console/login", "usher.example.com")
        assert login.status == 200
        assert str(login.headers["set-cookie"]).startswith("__Host-usher_session=")
        assert "Secure" in str(login.headers["set-cookie"])
        assert login.headers["strict-transport-security"]
        for path in ("/", "/console/login", "/api", "/api/v1/me"):
            assert ask(usher, "GET", path, "evil.example").status == 400, path
        # But webhooks, probes and scrapers are answered whatever the host
        assert ask(usher, "POST", "/livekit/webhook", "evil.example", "{}").status == 401
        for path in ("/healthz", "/metrics"):
            assert ask(usher, "GET", path, "evil.example").status == 200, path
        # And on the machine itself, without TLS, a browser can log in
        local = ask(usher, "GET", "/console/login", f"localhost:{usher.port}")
        assert str(local.headers["set-cookie"]).startswith("usher_session=")
    finally:
        usher.stop()


def test_a_container_gets_its_first_admin_from_the_environment(tmp_path: Path, settings: dict[str, str]) -> None:
    password = "correct horse battery"
    first = {"USHER_FIRST_ADMIN_NAME": "maria", "USHER_FIRST_ADMIN_PASSWORD": password}
    usher = Usher(NoLiveKit(), port=free_ports(1)[0], directory=tmp_path, settings={**settings, **first})
    try:
        usher.start()
        [user] = usher.rows("SELECT name, role FROM users")
        assert user == {"name": "maria", "role": "admin"}
        log = usher.log.read_text()
        assert "/console/welcome/" not in log
        assert password not in log
    finally:
        usher.stop()
