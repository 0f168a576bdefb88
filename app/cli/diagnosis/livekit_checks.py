"""Whether LiveKit is reached, takes the key, and its webhooks arrive."""

from __future__ import annotations

import asyncio
import contextlib
import re

import aiohttp

from app.cli.diagnosis.finding import Finding, failed, ok, skipped, warning
from app.cli.diagnosis.key_check import KeyAnswer, KeyVerdict, check_key
from app.clock import Clock, new_id
from app.errors import UsherError
from app.livekit.failures.trouble import LEEWAY_S
from app.livekit.twirp import LiveKitApi
from app.metrics import Metrics
from app.settings import SHORTEST_SECRET, Project, Settings, is_weak, local_url

ROOM_PREFIX = "usher-doctor-"
WEBHOOK_WITHIN_S = 10.0
_CLOCKS_APART_S = 5.0
_COUNTED = re.compile(r"^usher_webhooks_total\{[^}]*\} (\S+)$", re.MULTILINE)


async def livekit_findings(project: Project, settings: Settings, clock: Clock) -> list[Finding]:
    """Return findings about the URL, key, secret and clock of one project, and about its webhooks."""
    answer = await check_key(project, clock, settings.request_timeout)
    part = _part("LiveKit", project, settings)
    findings = [_of_answer(part, project, answer)]
    secret = project.api_secret.get_secret_value()
    if is_weak(secret):
        findings.append(
            warning(
                _part("secret", project, settings),
                f"can be guessed: {len(secret)} characters, {len(set(secret))} of them different",
                f"use at least {SHORTEST_SECRET} random characters: with it, webhooks are forged and rooms made",
            )
        )
    if answer.ahead_s is not None:
        findings.append(_of_clock(_part("clock", project, settings), answer.ahead_s))
    return findings


async def webhook_finding(project: Project, settings: Settings, clock: Clock) -> Finding:
    """Return whether a webhook of LiveKit arrives at the Usher that runs here: a room is made, and removed again."""
    part = _part("webhooks", project, settings)
    before = await _webhooks_counted(settings)
    if before is None:
        return skipped(part, "no Usher answers here that could receive them")
    client = LiveKitApi(project, settings.request_timeout, Metrics(), clock)
    room = f"{ROOM_PREFIX}{new_id()}"
    began = clock.monotonic()
    try:
        await client.create_room(room)
        while clock.monotonic() - began < WEBHOOK_WITHIN_S:
            counted = await _webhooks_counted(settings)
            if counted is not None and counted > before:
                milliseconds = round((clock.monotonic() - began) * 1000)
                return ok(part, f"one arrived {milliseconds} ms after a room was made")
            await asyncio.sleep(0.1)
    except UsherError as error:
        return skipped(part, f"no room could be made: {error}")
    finally:
        with contextlib.suppress(UsherError):  # LiveKit closes an empty room after a minute
            await client.delete_room(room)
        await client.close()
    where = f"{settings.public_url or 'http://<this Usher>'}/livekit/webhook"
    return failed(
        part,
        f"none arrived within {WEBHOOK_WITHIN_S:g} s of making a room",
        f"set LiveKit's webhook URL to {where}, signed with key {project.api_key}; it must be reachable from LiveKit. "
        "With several replicas another one may have received it: ask each",
    )


async def _webhooks_counted(settings: Settings) -> float | None:
    """Return how many webhooks the Usher that runs here has answered; None if none runs here."""
    token = settings.metrics_token.get_secret_value()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    url = f"{local_url(settings.host, settings.port)}/metrics"
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session,
            session.get(url, headers=headers) as response,
        ):
            text = await response.text(errors="replace")
            return sum(map(float, _COUNTED.findall(text))) if response.status == 200 else None
    except (aiohttp.ClientError, OSError, TimeoutError):
        return None


def _part(name: str, project: Project, settings: Settings) -> str:
    return name if len(settings.projects) == 1 else f"{name} of {project.name}"


def _of_answer(part: str, project: Project, answer: KeyAnswer) -> Finding:
    match answer.verdict:
        case KeyVerdict.ACCEPTED:
            return ok(part, f"{project.url} takes key {project.api_key}, {answer.milliseconds} ms")
        case KeyVerdict.UNREACHABLE:
            return failed(
                part, f"{project.url} does not answer: {answer.text}", "is it running, and is LIVEKIT_URL right?"
            )
        case KeyVerdict.NOT_LIVEKIT:
            return failed(part, f"{project.url} is not a LiveKit server", "set LIVEKIT_URL to LiveKit's own address")
        case KeyVerdict.UNKNOWN_KEY:
            return failed(
                part,
                f"LiveKit does not know key {project.api_key}: {answer.text}",
                "set LIVEKIT_API_KEY to one of its keys",
            )
        case KeyVerdict.WRONG_SECRET:
            found = f"LiveKit knows key {project.api_key}, but not this secret: {answer.text}"
            return failed(part, found, "set LIVEKIT_API_SECRET to the secret of that key")
        case KeyVerdict.WRONG_CLOCK:
            return failed(
                part, f"LiveKit refuses the time of our token: {answer.text}", "set the clock of this machine"
            )
        case KeyVerdict.TROUBLE:
            return failed(part, f"LiveKit answers with an error: {answer.text}", "see LiveKit's log")


def _of_clock(part: str, ahead_s: float) -> Finding:
    apart = abs(ahead_s)
    found = f"LiveKit's is {apart:g} s {'ahead of' if ahead_s > 0 else 'behind'} this machine's"
    if apart > LEEWAY_S:
        return failed(part, found, "synchronise both with a time server: tokens are refused")
    if apart > _CLOCKS_APART_S:
        return warning(part, found, f"synchronise both with a time server: {LEEWAY_S} s are the limit")
    return ok(part, "agrees with LiveKit's")
