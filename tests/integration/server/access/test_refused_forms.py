"""A form that is refused is shown again as it was sent, with what is wrong."""

from __future__ import annotations

import html

import pytest

from app.accounts.roles import Role
from tests.integration.server.conftest import Running
from tests.integration.server.test_console import csrf_of, log_in, post

_USER = {"name": "maria", "role": "viewer", "projects": ""}
_CHANNEL = {
    "name": "night shift",
    "url": "nothing",
    "kinds": "no_show",
    "quiet_hours": "22-6",
    "timezone": "Europe/Mars",
}
_PROGRAM = {"name": 'the "CRM"', "url": "ftp://crm", "events": "call.answered"}


@pytest.mark.parametrize(
    ("path", "form", "status", "mistake"),
    [
        ("users", _USER, 409, "maria"),
        ("notifications/people", _CHANNEL, 422, "must be an Apprise URL"),
        ("notifications/programs", _PROGRAM, 422, "must be an http:// or https:// URL"),
    ],
)
async def test_a_refused_form_keeps_what_was_typed(
    running: Running, path: str, form: dict[str, str], status: int, mistake: str
) -> None:
    await running.add_user("maria", Role.ADMIN)
    async with running.client() as client:
        await log_in(client, "maria")
        answer = await post(client, f"/console/{path.partition('/')[0]}", f"/console/{path}", **form)
    assert answer.status_code == status
    assert mistake in html.unescape(answer.text)
    assert f'action="/console/{path}"' in answer.text
    (sent,) = [one for one in answer.text.split("<form") if f'action="/console/{path}"' in one]
    for name, value in form.items():
        is_chosen = f'<option value="{value}" selected>' in sent
        assert is_chosen or f'name="{name}" value="{value}"' in html.unescape(sent), name


async def test_no_field_of_a_form_is_taken_from_the_address(running: Running) -> None:
    await running.add_user("maria", Role.ADMIN)
    async with running.client() as client:
        await log_in(client, "maria")
        token = csrf_of(await client.get("/console/users"))
        assert (await client.post(f"/console/users?csrf={token}", data={"name": "eva"})).status_code == 403
        form = {"csrf": token, "name": "eva", "role": "viewer"}
        made = await client.post("/console/users?projects=default&name=other", data=form)
    assert made.status_code == 200
    users = await running.read("SELECT name, projects FROM users ORDER BY name")
    assert [dict(one) for one in users] == [{"name": "eva", "projects": None}, {"name": "maria", "projects": None}]
