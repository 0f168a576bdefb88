"""One Usher without a LiveKit, whose database is made to fail."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.acceptance.campaign.databases import Database
from tests.acceptance.campaign.programs import Usher, request
from tests.harness.ports import LOOPBACK, free_ports


class LoneUsher:
    """An Usher to start, its database, and what it says of its readiness."""

    def __init__(self, directory: Path, database_url: str) -> None:
        (port,) = free_ports(1)
        settings = {"DATABASE_URL": database_url, "USHER_SWEEP_INTERVAL": "1"}
        self.usher = Usher(
            "usher", port=port, directory=directory, livekit_url=f"http://{LOOPBACK}:9", settings=settings
        )
        self.database = Database(database_url)

    def readiness(self) -> tuple[int, Any]:
        """Return the status of `/readyz` and what it says of the database."""
        status, _, body = request(self.usher.port, "GET", "/readyz")
        return status, json.loads(body)["database"]
