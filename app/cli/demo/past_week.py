"""The calls of the demo's past week: the same each time, but for the date."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final

from app.flows.sample_history.past_call import Fate, PastCall
from app.livekit.vocabulary import ParticipantKind

_DAYS: Final = 7
_QUIET: Final = timedelta(minutes=40)
"""Before the demo begins: what is in trouble then is the demo's own."""
_NAMES: Final = (
    "Ana Ruiz", "Ben Ito", "Carla Font", "Dario Costa", "Elsa Holm", "Finn Moran", "Gala Puig", "Hugo Blanc",
    "Ines Rocha", "Jonas Berg", "Kira Novak", "Lena Vogt", "Marc Soler", "Nora Lind", "Omar Said", "Pia Weiss",
)  # fmt: skip
_BAD_DAY: Final = 2
_BAD_HOURS: Final = (9, 18)
"""From and until, in UTC, of the day `_BAD_DAY` days before the demo: a bad deployment of `sales-agent`."""


def past_week(now: datetime) -> list[PastCall]:
    """Return the calls of the week before `now`, oldest first; all of them are over."""
    chance = Random(11)
    begin = now - timedelta(days=_DAYS)
    calls: list[PastCall] = []
    for number, at in enumerate(_joins(chance, begin, now - _QUIET), 1):
        is_bad_hour = (now.date() - at.date()).days == _BAD_DAY and _BAD_HOURS[0] <= at.hour < _BAD_HOURS[1]
        calls.append(_call(chance, number, at, is_bad_hour=is_bad_hour))
    return calls


def _joins(chance: Random, begin: datetime, end: datetime) -> Iterator[datetime]:
    """Yield when callers join: many at noon, few at night."""
    at = begin
    while True:
        hour = at.hour + at.minute / 60
        per_hour = 0.7 + 12 * max(0.0, math.cos((hour - 13) / 24 * 2 * math.pi)) ** 1.5
        at += timedelta(hours=chance.expovariate(per_hour))
        if at >= end:
            return
        yield at


def _call(chance: Random, number: int, at: datetime, *, is_bad_hour: bool) -> PastCall:
    kind = chance.choices(("support", "sales", "phone", "lobby", "billing"), (6, 4, 4, 2, 1))[0]
    name = chance.choice(_NAMES)
    wait = min(9.0, chance.lognormvariate(-1.0, 0.55)) + {"phone": 0.9, "billing": 2.2}.get(kind, 0.0)
    fate, luck = Fate.SERVED, chance.random()
    if kind == "sales" and is_bad_hour and luck < 0.8:
        fate = Fate.NO_AGENT
    elif luck > 0.985:
        fate = Fate.ABANDONED
    elif luck > 0.975:
        fate = Fate.NO_AGENT
    stay = chance.lognormvariate(4.6, 0.8)
    seconds = wait if fate is Fate.SERVED else 60.0 if fate is Fate.NO_AGENT else 1.0
    return PastCall(number, at, **_caller(chance, kind, name), fate=fate, seconds_to_agent=seconds, stay_s=stay)


def _caller(chance: Random, kind: str, name: str) -> dict[str, Any]:
    identity = name.lower().replace(" ", ".")
    room = f"{kind}-{chance.randrange(16**4):04x}"
    match kind:
        case "phone":
            phone = f"+3460011{chance.randrange(60):04d}"
            return {
                "identity": f"sip_{phone}",
                "room_name": f"call-_{phone}_{chance.randrange(16**4):04x}",
                "kind": ParticipantKind.SIP,
                "attributes": {
                    "sip.phoneNumber": phone,
                    "sip.trunkPhoneNumber": "+15557654321",
                    "sip.callStatus": "active",
                    "sip.ruleID": "SDR_8XAAgaFPWQnZ",
                },
            }
        case "support":
            language = chance.choice(("es", "es", "ca"))
            return _web(identity, room, name, {"department": "support", "language": language})
        case "lobby":
            return {"identity": identity, "room_name": room, "name": name, "metadata": "just looking around"}
        case _:
            return _web(identity, room, name, {"department": kind, "language": "en"})


def _web(identity: str, room: str, name: str, metadata: dict[str, str]) -> dict[str, Any]:
    return {"identity": identity, "room_name": room, "name": name, "metadata": json.dumps(metadata)}
