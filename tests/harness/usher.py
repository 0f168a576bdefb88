"""The program under test: `usher serve` as its operators run it, its database as they read it."""

from __future__ import annotations

import http.client
import json
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.harness.livekit.endpoint import Endpoint
from tests.harness.polling import eventually
from tests.harness.ports import LOOPBACK
from tests.harness.process import Process

PROGRAM = Path(sys.executable).with_name("usher")
LIVE = ("pending", "sending", "dispatched", "joined")

Row = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """One HTTP answer of Usher."""

    status: int
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)


class Usher(Process):
    """One `usher serve` with a SQLite database of its own, which survives stops and kills."""

    def __init__(
        self, server: Endpoint, *, port: int, directory: Path, settings: Mapping[str, str] | None = None
    ) -> None:
        self.port = port
        self.database = directory / "usher.db"
        environment = {
            **server.environment,
            "DATABASE_URL": f"sqlite:///{self.database}",
            "USHER_HOST": LOOPBACK,
            "USHER_PORT": str(port),
            **(settings or {}),
        }
        super().__init__("usher", [PROGRAM, "serve"], directory=directory, environment=environment)

    def start(self, *, stdin: bool = False, stdout: bool = False) -> None:
        """Start it and wait until it says that it is ready."""
        super().start(stdin=stdin, stdout=stdout)
        self.wait_until(self.ready, within=30, what="/readyz answers 200")

    def ready(self) -> bool:
        try:
            return self.get("/readyz").status == 200
        except OSError:
            return False

    def get(self, path: str) -> Answer:
        return self._request("GET", path)

    def post(self, path: str, document: object, *, token: str) -> Answer:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        return self._request("POST", path, json.dumps(document), headers)

    def _request(
        self, method: str, path: str, body: str | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        with closing(http.client.HTTPConnection(LOOPBACK, self.port, timeout=60)) as connection:
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            return Answer(response.status, response.read())

    def run(self, *words: str) -> str:
        """Run `usher …` beside the service, as an operator does, and return what it prints; it must succeed."""
        done = subprocess.run(
            [PROGRAM, *words],
            cwd=self.directory,
            env=self.variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        if done.returncode != 0:
            raise AssertionError(f"usher {' '.join(words)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout

    # The database, with plain SQL

    def rows(self, query: str, *values: object) -> list[Row]:
        """Return what a reading query finds, as an operator's SQL shell shows it."""
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=60)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(query, values)]

    def change(self, statement: str, *values: object) -> None:
        """Carry out one writing statement and commit it, as an operator's SQL shell does."""
        with closing(sqlite3.connect(self.database, timeout=60)) as connection, connection:
            connection.execute(statement, values)

    def add_rule(self, name: str, pattern: object, agent_name: str, **columns: object) -> None:
        """Insert a rule with plain SQL; documents are written as JSON."""
        row = {"name": name, "pattern": pattern, "agent_name": agent_name, **columns}
        stored = {key: json.dumps(value) if isinstance(value, dict | list) else value for key, value in row.items()}
        places = ", ".join("?" for _ in stored)
        # The column names come from the tests themselves.
        self.change(
            f"INSERT INTO routing_rules ({', '.join(stored)}) VALUES ({places})",
            *stored.values(),
        )

    def delete_rules(self) -> None:
        self.change("DELETE FROM routing_rules")

    # What it did for a caller

    def events(self, *, room: str, identity: str, type: str = "participant_joined") -> list[Row]:  # noqa: A002 - the column
        return self.rows(
            "SELECT * FROM events WHERE room_name = ? AND participant_identity = ? AND type = ? ORDER BY id",
            room,
            identity,
            type,
        )

    def dispatches(self, *, room: str, identity: str | None = None) -> list[Row]:
        """Return the dispatches of a room, or those made for one of its participants, oldest first."""
        return self.rows(
            "SELECT * FROM dispatches WHERE room_name = ? AND (? IS NULL OR participant_identity = ?) ORDER BY id",
            room,
            identity,
            identity,
        )

    def wait_for_dispatch(
        self, *, room: str, identity: str | None = None, status: str = "joined", within: float = 15
    ) -> Row:
        """Return the latest dispatch of the room (of the participant) in `status`."""
        seen: list[Row] = []

        def look() -> list[Row]:
            seen[:] = self.dispatches(room=room, identity=identity)
            return [row for row in seen if row["status"] == status]

        try:
            return eventually(look, within=within, what=f"a dispatch of {room} (for {identity}) is {status}")[-1]
        except AssertionError as late:
            shown = [(row["id"], row["agent_name"], row["status"], row["reason"]) for row in seen]
            raise AssertionError(f"{late}\ndispatches: {shown}\n{self.history(*[row['id'] for row in seen])}") from None

    def history(self, *entity_ids: str) -> list[tuple[str | None, str, str]]:
        """Return the audited transitions of these dispatches: from, to, why."""
        return [
            (row["from_state"], row["to_state"], row["reason"])
            for entity_id in entity_ids
            for row in self.rows("SELECT * FROM audit_log WHERE entity_id = ? ORDER BY id", entity_id)
        ]

    def attempts(self, dispatch_id: str) -> list[Row]:
        return self.rows("SELECT * FROM dispatch_attempts WHERE dispatch_id = ? ORDER BY number", dispatch_id)
