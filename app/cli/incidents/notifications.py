"""`usher notifications`: who is notified of incidents, and a test of it."""

from __future__ import annotations

import asyncio
from typing import Annotated, NamedTuple

import typer

from app.cli.framework.database import reading
from app.cli.framework.options import JsonOption
from app.cli.framework.terminal import complain, note, plain, say, say_json, show, stacked, table
from app.cli.remote.choice import chosen_server, over_api
from app.cli.remote.server import Server, path_of, read_as
from app.clock import SystemClock
from app.errors import NotFoundError, did_you_mean
from app.flows.messages.senders import RealSenders
from app.incidents.messages.channel import (
    Channel,
    Notification,
    channels_of_settings,
    get_channel,
    list_notifications,
    shown_target,
)
from app.incidents.messages.delivery import SendOutcome
from app.incidents.messages.payload import trial_message
from app.incidents.messages.subscription import Subscription, list_subscriptions
from app.settings import Settings, read_settings

app = typer.Typer(help="Who is notified of incidents.", no_args_is_help=True)


@app.command("list")
@over_api
def list_(*, as_json: JsonOption = False) -> None:
    """List the channels of people and the webhooks to programs, without their secrets."""
    server = chosen_server()
    fixed: tuple[Channel, ...] = ()
    if server is not None:
        note("Channels of USHER_NOTIFY_URLS are listed on the server's machine alone.")
        stored = [read_as(Notification, one) for one in server.get("/notifications")["items"]]
        programs = [read_as(Subscription, one) for one in server.get("/webhook-subscriptions")["items"]]
    else:
        settings = read_settings(without_livekit=True)
        with reading(settings) as connection:
            stored, programs = list_notifications(connection), list_subscriptions(connection)
        fixed = tuple(channels_of_settings(settings.notify_channels))
    if as_json:
        of_settings = [{"name": one.name, "target": shown_target(one.url)} for one in fixed]
        say_json(
            {
                "settings": of_settings,
                "notifications": [one.to_json() for one in stored],
                "webhook_subscriptions": [one.to_json() for one in programs],
            }
        )
        return
    if not (fixed or stored or programs):
        say("No channel is configured; see USHER_NOTIFY_URLS, and the console's page Notifications.")
        return
    rows = table("name", "target", "what", "state")
    for channel in fixed:
        rows.add_row(plain(channel.name), plain(shown_target(channel.url)), "all incidents", "on")
    for one in stored:
        quiet = f"quiet {one.quiet_hours} ({one.timezone})" if one.quiet_hours else ""
        what = ", ".join(one.kinds) if one.kinds is not None else "all incidents"
        state = stacked("on" if one.enabled else "off", *one.problems)
        rows.add_row(plain(one.name), plain(one.target), stacked(what, quiet), state)
    for program in programs:
        what = ", ".join(program.events) if program.events is not None else "all events"
        paused = "paused" if program.paused_at else "on" if program.enabled else "off"
        rows.add_row(plain(program.name), plain(program.url), plain(what), stacked(paused, *program.problems))
    show(rows)


@app.command("test")
@over_api
def send_test(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="a channel; without it, all of them")] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Send a test message to channels, and say what came of it; exit 1 if one fails."""
    server = chosen_server()
    results = _test_over_api(server, name) if server is not None else _test_here(name)
    if as_json:
        say_json([{"name": one.name, **one.outcome.to_json()} for one in results])
    else:
        for one in results:
            said = "sent" if one.outcome.delivered else f"failed: {one.outcome.text}"
            show(plain(f"{one.name} ({one.target}): {said}", "green" if one.outcome.delivered else "bold red"))
    if not results:
        complain("no channel is configured")
    if not results or not all(one.outcome.delivered for one in results):
        raise typer.Exit(1)


class _Tested(NamedTuple):
    name: str
    target: str
    outcome: SendOutcome


def _test_here(name: str | None) -> list[_Tested]:
    settings = read_settings(without_livekit=True)
    channels = _channels(settings, name)
    outcomes = asyncio.run(_send(channels, settings.public_url))
    return [_Tested(one.name, shown_target(one.url), outcome) for one, outcome in zip(channels, outcomes, strict=True)]


def _test_over_api(server: Server, name: str | None) -> list[_Tested]:
    stored = [read_as(Notification, one) for one in server.get("/notifications")["items"]]
    wanted = stored if name is None else [one for one in stored if one.name == name]
    if name is not None and not wanted:
        hint = did_you_mean(name, (one.name for one in stored), "usher notifications list")
        raise NotFoundError(f"no channel has the name {name!r}{hint}")
    return [
        _Tested(
            one.name, one.target, read_as(SendOutcome, server.send("POST", path_of("notifications", one.name, "test")))
        )
        for one in wanted
    ]


def _channels(settings: Settings, name: str | None) -> list[Channel]:
    fixed = channels_of_settings(settings.notify_channels)
    with reading(settings) as connection:
        names = [one.name for one in list_notifications(connection)]
        wanted = names if name is None else [one for one in names if one == name]
        stored = [get_channel(connection, one) for one in wanted]
    found = [one for one in fixed if name is None or one.name == name] + stored
    if name is not None and not found:
        known = [*names, *(one.name for one in fixed)]
        raise NotFoundError(f"no channel has the name {name!r}{did_you_mean(name, known, 'usher notifications list')}")
    return found


async def _send(channels: list[Channel], public_url: str) -> list[SendOutcome]:
    senders, message = RealSenders(SystemClock()), trial_message(public_url)
    try:
        sending = (senders.notify(one.url, message["title"], message["text"], is_open=False) for one in channels)
        return list(await asyncio.gather(*sending))
    finally:
        await senders.close()
