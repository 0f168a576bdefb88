"""What a browser gets for an address that no page answers, and what programs get."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from app.accounts.roles import Role
from app.errors import DatabaseUnavailableError
from tests.conftest import PASSWORD, Database
from tests.integration.server.conftest import Running, running_service
from tests.integration.server.test_console import log_in, post

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


def browser(running: Running) -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(app=running.service.app, raise_app_exceptions=False)
    return httpx2.AsyncClient(transport=transport, base_url="http://usher.test", headers=BROWSER)


def assert_page(answer: httpx2.Response, status: int, text: str, language: str = "en") -> None:
    assert (answer.status_code, answer.headers["content-type"]) == (status, "text/html; charset=utf-8")
    assert text in answer.text
    assert f'<html lang="{language}">' in answer.text
    assert '<a href="/docs/">' in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("method", "path", "status", "text"),
    [
        ("GET", "/console/nope", 404, "There is no page at this address."),
        ("GET", "/console/rules/1/nope", 404, "There is no page at this address."),
        ("POST", "/console/trends", 405, "This address is not one to open in a browser."),
        ("GET", "/console/logout", 405, "This address is not one to open in a browser."),
        ("POST", "/docs/quickstart", 405, "This address is not one to open in a browser."),
        ("GET", "/docs/nope", 404, "nope"),
    ],
)
async def test_an_address_without_a_page_is_answered_by_a_page(
    running: Running, method: str, path: str, status: int, text: str
) -> None:
    async with browser(running) as client:
        assert_page(await client.request(method, path), status, text)
        if path.startswith("/console"):
            await running.add_user("vera", Role.VIEWER)
            await log_in(client, "vera")
            page = await client.request(method, path)
            assert_page(page, status, text)
            assert '<a href="/console/calls">' in page.text  # with the navigation of its user
    # And programs get JSON
    async with running.client() as client:
        answer = await client.request(method, path)
        if not path.startswith("/docs/nope"):
            assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
        api = await client.get("/api/v1/nope", headers=BROWSER)
        assert api.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("rule_id", ["4711", "9223372036854775808", "999999999999999999999"])
async def test_a_rule_that_is_not_there_is_named_as_it_was_asked_for(running: Running, rule_id: str) -> None:
    await running.add_user("vera", Role.VIEWER)
    async with browser(running) as client:
        await log_in(client, "vera")
        for _ in range(2):
            page = await client.get(f"/console/rules/{rule_id}")
            assert_page(page, 404, f"No rule has the id {rule_id}")


@pytest.mark.parametrize("path", ["/console/rules/{}", "/api/v1/rules/{}", "/api/v1/rules/{}/history"])
async def test_a_number_that_is_too_long_for_an_id_is_no_server_error(running: Running, path: str) -> None:
    address = path.format("9" * 5_000)  # Python reads no number of more than 4,300 digits
    async with browser(running) as stranger, running.client(await running.token()) as program:
        for client in (stranger, program):
            for method in ("GET", "POST", "DELETE"):
                assert (await client.request(method, address)).status_code == 404


async def test_an_error_page_is_in_the_language_of_its_reader(running: Running) -> None:
    async with browser(running) as client:
        page = await client.get("/console/nope", headers={"Accept-Language": "de"})
        assert_page(page, 404, "Unter dieser Adresse gibt es keine Seite.", "de")


@pytest.mark.parametrize(
    ("failure", "status", "title"),
    [
        (RuntimeError("what broke"), 500, "That did not work"),
        (DatabaseUnavailableError("the database does not answer"), 503, "The database does not answer"),
    ],
)
async def test_a_page_that_fails_is_answered_by_a_page(
    running: Running, monkeypatch: pytest.MonkeyPatch, failure: Exception, status: int, title: str
) -> None:
    await running.add_user("vera", Role.VIEWER)
    async with browser(running) as client:
        await log_in(client, "vera")

        async def fail(*_: Any, **__: Any) -> None:
            raise failure

        monkeypatch.setattr("app.server.request_context.RequestContext.read", fail)
        page = await client.get("/console/queue")
        assert_page(page, status, f"<h1>{title}</h1>")
        assert "what broke" not in page.text
        program = await client.get("/console/queue", headers={"Accept": "application/json"})
        assert program.status_code == status


async def test_a_page_without_a_database_comes_by_itself_once_it_is_back(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    await running.add_user("vera", Role.VIEWER)
    async with browser(running) as client:
        await log_in(client, "vera")

        async def fail(*_: Any, **__: Any) -> None:
            raise DatabaseUnavailableError("the database does not answer")

        monkeypatch.setattr("app.server.request_context.RequestContext.read", fail)
        page = await client.get("/console/queue")
        assert (page.headers["retry-after"], page.headers["refresh"]) == ("1", "5")
        # The answer to a form is not asked for again: a browser would send it without the fields.
        sent = await client.post("/console/logout")
        assert (sent.status_code, sent.headers["retry-after"]) == (503, "1")
        assert "refresh" not in sent.headers


async def test_a_page_for_an_unknown_host_says_so(database: Database) -> None:
    async with (
        running_service(database, USHER_PUBLIC_URL="https://usher.example") as running,
        browser(running) as client,
    ):
        page = await client.get("/console/login", headers={"Host": "elsewhere.example"})
        assert_page(page, 400, "USHER_ALLOWED_HOSTS")
        api = await client.get("/api/v1/rules", headers={"Host": "elsewhere.example"})
        assert (api.status_code, api.headers["content-type"]) == (400, "application/problem+json")


async def test_what_a_role_may_not_see_is_refused_by_a_page(running: Running) -> None:
    await running.add_user("vera", Role.VIEWER)
    async with browser(running) as client:
        await log_in(client, "vera")
        assert_page(await client.get("/console/users"), 403, "<h1>Not allowed</h1>")
        assert_page(await client.post("/console/calls/redrive", data={"id": "1"}), 403, "<h1>Not allowed</h1>")
        assert_page(await client.get("/console/calls/export?format=xml"), 400, "csv or jsonl")


MISSING = (
    ("/console/history?rule=unheard", "/console/rules"),
    ("/console/history/set?id=unheard", "/console/history"),
    ("/console/rules/99", "/console/rules"),
    ("/console/rules/new?copy=99", "/console/rules"),
    ("/console/calls/unheard", "/console/calls"),
    ("/console/lookups/unheard", "/console/lookups"),
    ("/console/incidents/unheard", ""),
    ("/console/nowhere", ""),
)


@pytest.mark.parametrize("language", ["en", "de"])
async def test_a_page_that_is_missing_names_no_command(running: Running, language: str) -> None:
    await running.add_user("ada", Role.ADMIN)
    async with running.client() as admin:
        await log_in(admin, "ada", PASSWORD)
        for address, listed in MISSING:
            page = await admin.get(address, headers={"Accept-Language": language, "Accept": "text/html"})
            text = page.text.partition("<main")[2].partition("</main>")[0]
            assert page.status_code == 404, address
            assert "usher " not in text, address
            assert f'href="{listed or "/console/"}"' in text, address
        forgotten = await post(admin, "/console/account", "/console/forget-agent", agent_name="unheard")
    assert forgotten.status_code == 404
    assert "usher agents" not in forgotten.text
