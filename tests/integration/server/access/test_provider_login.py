"""Logins through an OpenID Connect provider: who gets in, as which user, and what is refused."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey
from sqlalchemy import update

from app.accounts.roles import Role
from app.accounts.users import add_user, find_user, set_disabled
from app.db.tables import sessions
from app.flows.outgoing import identity_provider
from tests.conftest import PASSWORD, Database
from tests.harness.login_provider import CLIENT_ID, CLIENT_SECRET, ProviderAtHand, provider_at_hand
from tests.integration.server.conftest import Running, running_service
from tests.integration.server.test_access_log import logins
from tests.integration.server.test_console import log_in, post

ANA: dict[str, Any] = {"sub": "1", "email": "ana@example.com", "email_verified": True, "preferred_username": "ana"}


@dataclass
class Site:
    """A running service, and the provider through which its users log in."""

    running: Running
    provider: ProviderAtHand

    async def start(self, client: httpx2.AsyncClient, path: str = "/console/oidc/login") -> str:
        """Return the address at the provider to which the browser is sent."""
        answer = await client.get(path)
        assert answer.status_code == 303, answer.text
        return answer.headers["location"]

    async def log_in(self, client: httpx2.AsyncClient, **person: Any) -> httpx2.Response:
        return await client.get(self.provider.authorize(await self.start(client), **person))

    async def users(self) -> list[tuple[str, str]]:
        rows = await self.running.read("SELECT name, role FROM users ORDER BY name")
        return [(row["name"], row["role"]) for row in rows]

    async def refusals(self) -> list[tuple[str, str, str]]:
        """Return kind, user and reason of what was refused."""
        await self.running.service.app.state.access.run_once(everything=True)
        rows = await self.running.read("SELECT kind, user_name, detail FROM access_log ORDER BY id")
        return [(row["kind"], row["user_name"], row["detail"]) for row in rows if row["kind"] != "login"]


@pytest.fixture
async def provider() -> AsyncIterator[ProviderAtHand]:
    async with provider_at_hand() as found:
        yield found


@pytest.fixture
def settings(request: pytest.FixtureRequest) -> dict[str, str]:
    """Settings of a test, given by parametrize(..., indirect=True)."""
    found: dict[str, str] = getattr(request, "param", {"USHER_OIDC_ROLE": "viewer"})
    return found


def provider_settings(provider: ProviderAtHand) -> dict[str, str]:
    return {
        "USHER_PUBLIC_URL": "http://usher.test",
        "USHER_OIDC_ISSUER": provider.url,
        "USHER_OIDC_CLIENT_ID": CLIENT_ID,
        "USHER_OIDC_CLIENT_SECRET": CLIENT_SECRET,
        "USHER_OIDC_NAME": "Example SSO",
    }


@pytest.fixture
async def site(database: Database, provider: ProviderAtHand, settings: dict[str, str]) -> AsyncIterator[Site]:
    async with running_service(database, **{**provider_settings(provider), **settings}) as running:
        await running.add_user("maria", Role.ADMIN)
        yield Site(running, provider)


@pytest.fixture
async def browser(site: Site) -> AsyncIterator[httpx2.AsyncClient]:
    async with site.running.client() as client:
        yield client


async def is_logged_in(client: httpx2.AsyncClient) -> bool:
    return (await client.get("/console/account")).status_code == 200


def text_of(answer: httpx2.Response) -> str:
    found = re.search(r'role="alert">(.*?)</div>', answer.text, re.DOTALL)
    assert found, answer.text
    return re.sub(r"<[^>]+>", "", found[1])


async def test_a_new_person_gets_a_user_and_a_session(site: Site, browser: httpx2.AsyncClient) -> None:
    page = (await browser.get("/console/login?next=/console/rules")).text
    assert "Log in with Example SSO" in page
    url = await site.start(browser, "/console/oidc/login?next=/console/rules")
    assert "code_challenge_method=S256" in url
    assert "tenant=1&" in url
    done = await browser.get(site.provider.authorize(url, **ANA))
    assert (done.status_code, done.headers["location"]) == (303, "/console/rules")
    assert await site.users() == [("ana@example.com", "viewer"), ("maria", "admin")]
    account = (await browser.get("/console/account")).text
    assert "You have none, and log in with Example SSO" in account
    async with site.running.client(await site.running.token(name="otto")) as admin:
        [login] = await logins(site.running, admin)
    assert (login["kind"], login["user_name"], login["detail"]) == ("login", "ana@example.com", "through Example SSO")
    [user] = await site.running.read("SELECT last_login_at FROM users WHERE name = 'ana@example.com'")
    assert user["last_login_at"]
    # No password opens this user, not even the stored text
    async with site.running.client() as other:
        assert (await log_in(other, "ana@example.com", "!")).status_code == 401


async def test_a_second_login_is_of_the_same_user_whatever_its_name_is_now(
    site: Site, browser: httpx2.AsyncClient
) -> None:
    await site.log_in(browser, **ANA)
    async with site.running.client() as other:
        assert (await site.log_in(other, **{**ANA, "email": "ana.new@example.com"})).status_code == 303
        assert await is_logged_in(other)
    assert await site.users() == [("ana@example.com", "viewer"), ("maria", "admin")]
    # The documents of the provider were read once
    assert site.provider.asked.count("/.well-known/openid-configuration") == 1
    assert site.provider.asked.count("/keys") == 1


async def test_a_reused_address_does_not_open_the_user_of_its_former_owner(
    site: Site, browser: httpx2.AsyncClient
) -> None:
    await site.log_in(browser, **ANA)
    async with site.running.client() as other:
        refused = await site.log_in(other, **{**ANA, "sub": "2"})
        assert (refused.status_code, "Another person has logged in" in text_of(refused)) == (403, True)
        assert not await is_logged_in(other)
    # Until an admin disconnects the former owner, whose sessions end
    user = await site.running.write(lambda c: find_user(c, "ana@example.com"))
    assert user is not None
    async with site.running.client() as maria:
        await log_in(maria, "maria")
        assert "Disconnect ana@example.com" in (await maria.get("/console/users")).text
        await post(maria, "/console/users", f"/console/users/{user.id}/disconnect")
    assert not await is_logged_in(browser)
    async with site.running.client() as other:
        assert (await site.log_in(other, **{**ANA, "sub": "2"})).status_code == 303


@pytest.mark.parametrize("settings", [{}], indirect=True)
async def test_without_a_role_only_users_get_in(site: Site, browser: httpx2.AsyncClient) -> None:
    refused = await site.log_in(browser, **ANA)
    assert (refused.status_code, "have no user in Usher yet" in text_of(refused)) == (403, True)
    await site.running.add_user("ana@example.com", Role.EDITOR)  # with a password, which goes on working
    assert (await site.log_in(browser, **ANA)).status_code == 303
    assert await is_logged_in(browser)
    async with site.running.client() as other:
        assert (await log_in(other, "ana@example.com")).status_code == 303
    assert await site.users() == [("ana@example.com", "editor"), ("maria", "admin")]
    [(kind, _, detail)] = await site.refusals()
    assert (kind, "no role for new ones" in detail) == ("login_failed", True)


@pytest.mark.parametrize("settings", [{}], indirect=True)
@pytest.mark.parametrize(("prompts", "prompt"), [([], "login"), (["login", "select_account"], "select_account")])
async def test_who_is_logged_in_there_as_somebody_else_can_use_another_account(
    site: Site, browser: httpx2.AsyncClient, prompts: list[str], prompt: str
) -> None:
    site.provider.discovery["prompt_values_supported"] = prompts
    start = "/console/oidc/login?next=/console/rules"
    assert "other=1" not in (await browser.get("/console/login")).text
    url = await site.start(browser, start)
    assert "prompt=" not in url
    refused = await browser.get(site.provider.authorize(url, **ANA))
    # The login page keeps where the person wanted to go, also for a login with a password
    assert 'name="next" value="/console/rules"' in refused.text
    [other] = re.findall(r'href="(/console/oidc/login\?other=1[^"]*)">Use another account at Example SSO', refused.text)
    url = await site.start(browser, other.replace("&amp;", "&"))
    assert f"prompt={prompt}" in url.split("&")
    assert "max_age" not in url
    await site.running.write(lambda c: add_user(c, "eva@example.com", Role.EDITOR, by="test", now=datetime.now(UTC)))
    done = await browser.get(site.provider.authorize(url, **{**ANA, "sub": "2", "email": "eva@example.com"}))
    assert done.headers["location"] == "/console/rules"
    # Another host name than the public one leads there with the wish
    moved = await browser.get("http://localhost/console/oidc/login?other=1")
    assert "moved=1&other=1&" in moved.headers["location"]


async def test_an_address_that_is_not_verified_opens_nothing(site: Site, browser: httpx2.AsyncClient) -> None:
    refused = await site.log_in(browser, **{**ANA, "email_verified": False})
    assert (refused.status_code, "not verified your e-mail address" in text_of(refused)) == (403, True)
    assert not await is_logged_in(browser)
    assert await site.users() == [("maria", "admin")]


@pytest.mark.parametrize(
    "settings", [{"USHER_OIDC_CLAIM": "preferred_username", "USHER_OIDC_ROLE": "viewer"}], indirect=True
)
async def test_a_name_that_anybody_can_choose_opens_no_user_with_a_password(
    site: Site, browser: httpx2.AsyncClient
) -> None:
    refused = await site.log_in(browser, sub="1", preferred_username="maria")
    assert (refused.status_code, "connect your login" in text_of(refused)) == (403, True)
    # One without a password was added for this login
    now = datetime.now(UTC)
    await site.running.write(lambda c: add_user(c, "otto", Role.EDITOR, by="maria", now=now))
    assert (await site.log_in(browser, sub="7", preferred_username="otto")).status_code == 303
    # And maria connects her own login, after her password
    async with site.running.client() as maria:
        await log_in(maria, "maria")
        page = await post(maria, "/console/account", "/console/account/oidc")
        assert page.status_code == 200
        found = re.search(r'class="button primary" href="([^"]+)"', page.text)
        assert found
        url = found[1].replace("&amp;", "&")
        taken = await maria.get(site.provider.authorize(url, sub="7", auth_time=int(time.time())))
        assert (taken.status_code, "logs in as &#39;otto&#39; already" in taken.text) == (409, True)
        page = await post(maria, "/console/account", "/console/account/oidc")
        found = re.search(r'class="button primary" href="([^"]+)"', page.text)
        assert found
        url = found[1].replace("&amp;", "&")
        done = await maria.get(site.provider.authorize(url, sub="1", auth_time=int(time.time())))
        assert done.headers["location"] == "/console/account?done=connected"
    async with site.running.client() as other:
        assert (await site.log_in(other, sub="1", preferred_username="whatever")).status_code == 303
        assert "You are an admin" in (await other.get("/console/account")).text


async def test_a_disabled_user_stays_out(site: Site, browser: httpx2.AsyncClient) -> None:
    await site.log_in(browser, **ANA)
    user = await site.running.write(lambda c: find_user(c, "ana@example.com"))
    assert user is not None
    now = datetime.now(UTC)
    await site.running.write(lambda c: set_disabled(c, user.id, disabled=True, by="maria", now=now))
    assert not await is_logged_in(browser)
    refused = await site.log_in(browser, **ANA)
    assert (refused.status_code, text_of(refused)) == (403, "Your user is disabled. Ask an admin.")
    [(kind, name, detail)] = await site.refusals()
    assert (kind, name) == ("login_failed", "ana@example.com")
    assert detail == "through Example SSO: the user is disabled"


@pytest.mark.parametrize("settings", [{"USHER_OIDC_ROLES": "ops=admin, support=viewer"}], indirect=True)
async def test_groups_decide_the_role_at_each_login(site: Site, browser: httpx2.AsyncClient) -> None:
    assert "scope=openid+profile+email+groups" in await site.start(browser)
    assert (await site.log_in(browser, **ANA, groups=["support"])).status_code == 303
    assert await site.users() == [("ana@example.com", "viewer"), ("maria", "admin")]
    async with site.running.client() as other:
        await site.log_in(other, **ANA, groups=["ops", "support"])
        assert await site.users() == [("ana@example.com", "admin"), ("maria", "admin")]
        assert await is_logged_in(other)
    assert not await is_logged_in(browser)  # a new role ends sessions
    refused = await site.log_in(browser, **ANA, groups=["sales"])
    assert (refused.status_code, "None of your groups" in text_of(refused)) == (403, True)


@pytest.mark.parametrize("settings", [{"USHER_OIDC_ROLES": "ops=admin, support=viewer"}], indirect=True)
async def test_the_only_admin_stays_one(site: Site, browser: httpx2.AsyncClient) -> None:
    await site.running.write(lambda c: c.exec_driver_sql("DELETE FROM users"))
    refused = await site.log_in(browser, **ANA, groups=["support"])
    assert (refused.status_code, "must be an admin" in text_of(refused)) == (403, True)
    assert (await site.log_in(browser, **ANA, groups=["ops"])).status_code == 303
    async with site.running.client() as other:
        assert (await site.log_in(other, **ANA, groups=["support"])).status_code == 303
    assert await site.users() == [("ana@example.com", "admin")]


def hmac_signed(claims: dict[str, Any]) -> str:
    return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(CLIENT_SECRET), algorithms=["HS256"])


def signed_by_a_stranger(claims: dict[str, Any]) -> str:
    return jwt.encode({"alg": "RS256", "kid": "one"}, claims, RSAKey.generate_key(2048))


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
@pytest.mark.parametrize(
    ("bent", "sign"),
    [
        ({"nonce": "another"}, None),
        ({"aud": "another"}, None),
        ({"iss": "https://evil.example.com"}, None),
        ({"exp": 1_000_000_000}, None),
        ({}, hmac_signed),
        ({}, signed_by_a_stranger),
    ],
    ids=["nonce", "audience", "issuer", "expired", "hmac", "stranger"],
)
async def test_a_token_that_cannot_be_trusted_opens_nothing(
    site: Site, browser: httpx2.AsyncClient, bent: dict[str, Any], sign: Any
) -> None:
    site.provider.bend_token = lambda claims: {**claims, **bent}
    site.provider.sign = sign
    refused = await site.log_in(browser, **ANA)
    assert (refused.status_code, "cannot be trusted" in text_of(refused)) == (403, True)
    assert not await is_logged_in(browser)
    [(kind, _, detail)] = await site.refusals()
    assert (kind, "ID token refused" in detail) == ("login_failed", True)


async def test_an_answer_is_accepted_in_the_browser_that_asked_and_once(
    site: Site, browser: httpx2.AsyncClient
) -> None:
    back = site.provider.authorize(await site.start(browser), **ANA)
    async with site.running.client() as other:
        refused = await other.get(back)
        assert (refused.status_code, "not begun in this browser" in text_of(refused)) == (403, True)
        # The page works: its form has a token of this browser
        assert (await log_in(other, "maria")).status_code == 303
    async with site.running.client() as other:
        await site.start(other)
        assert (await other.get(back)).status_code == 403  # begun, with another state
    forged = await browser.get(back.replace("state=", "state=x"))
    assert (forged.status_code, await is_logged_in(browser)) == (403, False)
    assert "/token" not in site.provider.asked
    assert (await browser.get(back)).status_code == 303
    assert (await browser.get(back)).status_code == 403


async def test_each_tab_of_a_browser_has_a_login_of_its_own(site: Site, browser: httpx2.AsyncClient) -> None:
    first, second = [site.provider.authorize(await site.start(browser), **ANA) for _ in range(2)]
    for back in (first, second):
        assert (await browser.get(back)).status_code == 303


async def test_logins_that_are_given_up_do_not_fill_the_requests_of_a_browser(
    site: Site, browser: httpx2.AsyncClient
) -> None:
    for _ in range(10):
        await site.start(browser)
    assert len([name for name in browser.cookies if name.startswith("usher_oidc")]) <= 3


async def test_a_new_key_of_the_provider_is_read(
    site: Site, browser: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await site.log_in(browser, **ANA)
    site.provider.rotate()
    async with site.running.client() as other:
        # Not at once again, lest made-up key ids make it read all the time
        monkeypatch.setattr(identity_provider, "REREAD_AFTER_S", 3600.0)
        refused = await site.log_in(other, **ANA)
        assert (refused.status_code, "does not publish" in text_of(refused)) == (403, True)
        assert site.provider.asked.count("/keys") == 1
        monkeypatch.setattr(identity_provider, "REREAD_AFTER_S", 0.0)
        assert (await site.log_in(other, **ANA)).status_code == 303
    assert site.provider.asked.count("/keys") == 2


async def test_claims_that_the_id_token_lacks_are_asked_for(site: Site, browser: httpx2.AsyncClient) -> None:
    site.provider.userinfo = {**ANA, "sub": "another"}
    refused = await site.log_in(browser, **ANA)
    assert (refused.status_code, "about another person" in text_of(refused)) == (403, True)
    site.provider.userinfo = ANA
    assert (await site.log_in(browser, **ANA)).status_code == 303
    assert ("ana@example.com", "viewer") in await site.users()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("access_denied", "You have cancelled the login, or the provider does not let you in."),
        ("server_error", "The provider cannot log you in at this moment. Try again later."),
        ("<b>odd</b>", "The provider has refused the login. An admin can see why in the log of logins and refusals."),
    ],
)
async def test_errors_of_the_provider_are_said_in_plain_words(
    site: Site, browser: httpx2.AsyncClient, error: str, said: str
) -> None:
    url = await site.start(browser)
    answer = await browser.get(site.provider.answered(url, error=error, error_description="<i>because</i>\u202e"))
    assert (answer.status_code, text_of(answer)) == (403, said)
    assert "<b>odd" not in answer.text
    assert "because" not in answer.text
    [(_, _, detail)] = await site.refusals()
    assert "<i>because</i>" in detail
    assert (await log_in(browser, "maria")).status_code == 303


async def test_an_answer_of_another_issuer_or_without_a_code_is_refused(
    site: Site, browser: httpx2.AsyncClient
) -> None:
    back = site.provider.answered(await site.start(browser), code="x", iss="https://evil.example.com")
    assert "Another provider" in text_of(await browser.get(back))
    assert "no code" in text_of(await browser.get(site.provider.answered(await site.start(browser))))
    used = site.provider.answered(await site.start(browser), code="used")
    assert "took too long, or was used before" in text_of(await browser.get(used))


@pytest.mark.parametrize(
    ("discovery", "said"),
    [
        ({"issuer": "https://evil.example.com"}, "calls itself"),
        ({"token_endpoint": "http://evil.example.com/token"}, "token_endpoint"),
        ({"jwks_uri": None, "authorization_endpoint": "javascript:alert(1)"}, "authorization_endpoint"),
    ],
)
async def test_a_discovery_document_that_is_wrong_is_not_used(
    site: Site, browser: httpx2.AsyncClient, discovery: dict[str, Any], said: str
) -> None:
    site.provider.discovery = discovery
    answer = await browser.get("/console/oidc/login")
    assert (answer.status_code, said in text_of(answer)) == (502, True)
    assert (await log_in(browser, "maria")).status_code == 303


async def test_a_provider_that_hangs_does_not_hang_the_login(
    site: Site, browser: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity_provider, "ANSWER_WITHIN_S", 0.05)
    site.provider.hangs = asyncio.Event()
    answer = await browser.get("/console/oidc/login")
    assert (answer.status_code, "no answer within" in text_of(answer)) == (502, True)
    assert "Log in with Example SSO" in answer.text


async def make_old(site: Site) -> None:
    """Let what confirms the person be of long ago."""
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    await site.running.write(lambda c: c.execute(update(sessions).values(password_checked_at=long_ago)))


async def test_a_person_without_a_password_confirms_at_the_provider(site: Site, browser: httpx2.AsyncClient) -> None:
    await site.log_in(browser, **ANA)
    form = {"token_name": "ci", "role": "viewer"}
    asked = await post(browser, "/console/account", "/console/account/tokens", **form)
    # The provider has not said when ana logged in there: the session alone is not enough for a token
    assert (asked.status_code, "Confirm who you are" in asked.text) == (403, True)
    assert 'type="password"' not in asked.text
    path = "/console/oidc/confirm?next=/console/account/confirmed"
    assert f'href="{path}" target="_blank"' in asked.text
    url = await site.start(browser, path)
    assert "prompt=login&max_age=0" in url
    # Neither a login of long ago, nor one without a time, nor one of another person confirms it
    for person in ({**ANA, "auth_time": 1_000_000_000}, ANA, {**ANA, "sub": "2", "auth_time": int(time.time())}):
        back = site.provider.authorize(await site.start(browser, path), **person)
        unconfirmed = await browser.get(back)
        assert (unconfirmed.status_code, "Your form still waits in the other tab" in unconfirmed.text) == (403, True)
        assert f'href="{path}"' in unconfirmed.text
        refused = await post(browser, "/console/account", "/console/account/tokens", **form)
        assert refused.status_code == 403
    # Who goes on without a new login is shown what is missing
    assert "have not logged in with Example SSO again yet" not in asked.text
    kept = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', asked.text))
    early = await browser.post("/console/account/tokens", data=kept)
    assert (early.status_code, "have not logged in with Example SSO again yet" in early.text) == (403, True)
    back = site.provider.authorize(await site.start(browser, path), **ANA, auth_time=int(time.time()))
    done = await browser.get(back)
    assert done.headers["location"] == "/console/account/confirmed?done=confirmed"
    assert "choose <strong>Continue</strong>" in (await browser.get(done.headers["location"])).text
    # The form waits in the first tab with all that was typed
    assert kept.items() >= form.items()
    made = await browser.post("/console/account/tokens", data=kept)
    assert "shown only once" in made.text
    kinds = [kind for kind, _, _ in await site.refusals()]
    assert kinds == ["password_refused"] * 3 + ["password_confirmed"]


async def test_who_logs_out_is_shown_where_to_log_out_at_the_provider(site: Site, browser: httpx2.AsyncClient) -> None:
    site.provider.discovery["end_session_endpoint"] = f"{site.provider.url}/logout?tenant=1"
    await site.log_in(browser, **ANA)
    left = await post(browser, "/console/account", "/console/logout")
    assert left.status_code == 200
    [link] = re.findall(rf'href="({re.escape(site.provider.url)}/logout[^"]+)"', left.text)
    fields = dict(parse_qsl(urlsplit(unescape(link)).query))
    issued = jwt.decode(fields.pop("id_token_hint"), site.provider.key).claims
    assert (issued["iss"], issued["sub"]) == (site.provider.url, ANA["sub"])
    public_url = site.running.service.orchestrator.context.settings.public_url.rstrip("/")
    assert fields == {
        "tenant": "1", "client_id": CLIENT_ID, "post_logout_redirect_uri": f"{public_url}/console/login"
    }  # fmt: skip
    assert not await is_logged_in(browser)
    # What the provider issued went with the session
    assert await site.running.read("SELECT * FROM sessions WHERE id_token IS NOT NULL") == []
    # A user of a password alone is logged out here only
    await log_in(browser, "maria")
    assert (await post(browser, "/console/account", "/console/logout")).headers["location"] == "/console/login"


async def test_without_a_place_to_log_out_at_the_provider_the_login_page_follows(
    site: Site, browser: httpx2.AsyncClient
) -> None:
    await site.log_in(browser, **ANA)
    assert (await post(browser, "/console/account", "/console/logout")).headers["location"] == "/console/login"
    assert not await is_logged_in(browser)


async def test_a_confirmation_is_for_the_session_that_asked(site: Site, browser: httpx2.AsyncClient) -> None:
    await site.log_in(browser, **ANA)
    back = site.provider.authorize(
        await site.start(browser, "/console/oidc/confirm"), **ANA, auth_time=int(time.time())
    )
    await post(browser, "/console/account", "/console/logout")
    answer = await browser.get(back)
    assert (answer.status_code, "session has ended" in answer.text) == (403, True)


async def test_a_login_that_was_typed_just_now_confirms_too(site: Site, browser: httpx2.AsyncClient) -> None:
    await site.log_in(browser, **ANA, auth_time=int(time.time()))
    made = await post(browser, "/console/account", "/console/account/tokens", token_name="ci", role="viewer")
    assert "shown only once" in made.text


async def test_a_user_with_a_password_can_disconnect(site: Site, browser: httpx2.AsyncClient) -> None:
    await site.running.add_user("ana@example.com", Role.EDITOR)
    await site.log_in(browser, **ANA)
    await make_old(site)
    form = {"confirm_password": PASSWORD}
    done = await post(browser, "/console/account", "/console/account/oidc/end", **form)
    assert done.headers["location"] == "/console/login"
    assert not await is_logged_in(browser)
    assert (await log_in(browser, "ana@example.com")).status_code == 303


async def test_nobody_is_sent_to_another_site_after_the_login(site: Site, browser: httpx2.AsyncClient) -> None:
    for target in ("https://evil.example.com/", "//evil.example.com", "/console/oidc/login", "/console/\\evil"):
        url = await site.start(browser, f"/console/oidc/login?next={target}")
        done = await browser.get(site.provider.authorize(url, **ANA))
        assert done.headers["location"] == "/console/"
        await post(browser, "/console/account", "/console/logout")


async def test_a_login_begins_at_the_public_url_where_its_cookie_is_read(browser: httpx2.AsyncClient) -> None:
    answer = await browser.get("http://localhost/console/oidc/login?next=/console/rules")
    assert answer.headers["location"] == "http://usher.test/console/oidc/login?moved=1&next=%2Fconsole%2Frules"


async def test_attempts_from_one_address_are_limited(site: Site, browser: httpx2.AsyncClient) -> None:
    statuses = []
    for _ in range(21):
        url = await site.start(browser)
        statuses.append((await browser.get(site.provider.answered(url, code="guessed"))).status_code)
    assert statuses == [403] * 20 + [429]


async def test_without_a_provider_there_is_no_button(running: Running) -> None:
    async with running.client() as client:
        assert "/console/oidc" not in (await client.get("/console/login")).text
        for path in ("/console/oidc/login", "/console/oidc/callback?state=x&code=y"):
            assert (await client.get(path)).status_code == 404
