"""What is sent: texts for people, JSON for programs. Ids and names of rules and agents; nothing that names a caller."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from app.db.types import OutgoingEvent, format_instant
from app.errors import InvalidInputError, Problem
from app.incidents.incident import Incident
from app.translation import translatable

_OPENED = OutgoingEvent.INCIDENT_OPENED


def for_people(incident: Incident, event: OutgoingEvent, public_url: str) -> str:
    """Return the JSON of title and text of a message about an incident."""
    is_open = event is _OPENED
    title = f"{'Usher' if is_open else 'Usher: over'}: {incident.title}"
    lines = [incident.remedy] if is_open else [f"It began at {_shown(incident.opened_at)}."]
    if not is_open and incident.closed_at is not None:
        lines[0] = f"It began at {_shown(incident.opened_at)} and was over at {_shown(incident.closed_at)}."
    if public_url:
        lines.append(f"{public_url}/console/incidents#{incident.id}")
        lines += [f"{public_url}/console/calls/{call}" for call in incident.calls[:1]]
    return json.dumps({"title": title, "text": "\n".join(lines), "is_open": is_open}, ensure_ascii=False)


def trial_message(public_url: str) -> dict[str, Any]:
    """Return title and text of a test."""
    link = f"\n{public_url}/console/notifications" if public_url else ""
    return {"title": "Usher: test", "text": f"This channel works.{link}", "is_open": False}


def _shown(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M:%S} UTC"


def for_programs(event: OutgoingEvent, data: Mapping[str, Any], now: datetime) -> str:
    """Return the body of a webhook, as it is signed and sent."""
    document = {"type": str(event), "timestamp": format_instant(now), "data": data}
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def trial_webhook(name: str, now: datetime) -> str:
    """Return the body of a test."""
    return json.dumps({"type": "test", "timestamp": format_instant(now), "data": {"subscription": name}})


def incident_data(incident: Incident, public_url: str) -> dict[str, Any]:
    """Return what a webhook says of an incident."""
    link = f"{public_url}/console/incidents#{incident.id}" if public_url else None
    return {**incident.to_json(), "link": link}


def signed_headers(delivery_id: str, secret: str, body: str, now: datetime) -> dict[str, str]:
    """Return the headers of Standard Webhooks: the id is the same for every attempt, the time is that of this one.

    Raises InvalidInputError where the secret is not base64: rows can be written by SQL.
    """
    timestamp = str(int(now.timestamp()))
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"))
    except ValueError:
        problem = Problem("secret", translatable("is not base64"))
        raise InvalidInputError(translatable("the secret of this subscription cannot be used"), [problem]) from None
    digest = hmac.new(key, f"{delivery_id}.{timestamp}.{body}".encode(), hashlib.sha256).digest()
    return {
        "content-type": "application/json",
        "webhook-id": delivery_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }
