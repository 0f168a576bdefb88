"""`usher notifications`: who is notified of incidents, and a test of it."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from app.cli.framework.database import reading
from app.cli.framework.options import JsonOption
from app.cli.framework.terminal import complain, plain, say, say_json, show, stacked, table
from app.clock import SystemClock
from app.errors import NotFoundError, did_you_mean
from app.flows.messages.senders import RealSenders
from app.incidents.messages.channel import (
    Channel,
    channels_of_settings,
    get_channel,
    list_notifications,
    shown_target,
)
from app.incidents.messages.delivery import Outcome
from app.incidents.messages.payload import trial_message
from app.incidents.messages.subscription import list_subscriptions
from app.settings import Settings, read_settings

app = typer.Typer(help="Who is notified of incidents.", no_args_is_help=True)


@app.command("list")
def list_(*, as_json: JsonOption = False) -> None:
    """List the channels of people and the webhooks to programs, without their secrets."""
    settings = read_settings(without_livekit=True)
    with reading(settings) as connection:
        stored, programs = list_notifications(connection), list_subscriptions(connection)
    fixed = channels_of_settings(settings.notify_channels)
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
        rows.add_row(plain(one.name), plain(one.target), stacked(what, quiet), "on" if one.enabled else "off")
    for program in programs:
        what = ", ".join(program.events) if program.events is not None else "all events"
        state = "paused" if program.paused_at else "on" if program.enabled else "off"
        rows.add_row(plain(program.name), plain(program.url), plain(what), state)
    show(rows)


@app.command("test")
def send_test(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="a channel; without it, all of them")] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Send a test message to channels, and say what came of it; exit 1 if one fails."""
    settings = read_settings(without_livekit=True)
    channels = _channels(settings, name)
    results = asyncio.run(_send(channels, settings.public_url))
    if as_json:
        say_json([{"name": one.name, **outcome.to_json()} for one, outcome in zip(channels, results, strict=True)])
    else:
        for one, outcome in zip(channels, results, strict=True):
            said = "sent" if outcome.delivered else f"failed: {outcome.text}"
            show(plain(f"{one.name} ({shown_target(one.url)}): {said}", "green" if outcome.delivered else "bold red"))
    if not channels:
        complain("no channel is configured")
    if not channels or not all(one.delivered for one in results):
        raise typer.Exit(1)


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


async def _send(channels: list[Channel], public_url: str) -> list[Outcome]:
    senders, message = RealSenders(SystemClock()), trial_message(public_url)
    try:
        sending = (senders.notify(one.url, message["title"], message["text"], is_open=False) for one in channels)
        return list(await asyncio.gather(*sending))
    finally:
        await senders.close()
