"""An agent whose name was mistyped is forgotten; one that anything names is not."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine, insert

from app.agents.agent_history import agent_history
from app.agents.edit_agent import change_agent
from app.audit import latest_probes, unused_agents, warnings_about_agents
from app.db.tables import audit_log, probes
from app.errors import ConflictError, NotFoundError
from app.flows.operations.forget_agent import forget_agent
from app.settings import read_settings
from tests.conftest import Database

NOW = datetime(2026, 11, 26, 14, 2, tzinfo=UTC)


@pytest.fixture
def engine(database: Database) -> Engine:
    return database.writer_engine()


def probe(name: str, *, arrived: bool | None) -> dict[str, object]:
    return {"id": f"probe-{name}", "project": "default", "agent_name": name, "started_at": NOW, "arrived": arrived}


def test_a_mistyped_agent_is_forgotten_and_that_is_on_record(engine: Engine) -> None:
    with engine.begin() as connection:
        change_agent(connection, "suport", {"max_calls": 3}, "eva")
        connection.execute(insert(probes), [probe("suport", arrived=False), probe("other", arrived=True)])
        assert unused_agents(connection, ["suport", "other"]) == {"suport"}
        many = {f"agent-{number:03}" for number in range(600)}
        assert unused_agents(connection, {*many, "other"}) == many
        assert forget_agent(connection, "suport", "ana", NOW).max_calls == 3
        assert set(latest_probes(connection)) == {"other"}
        assert [change.change for change in agent_history(connection, "suport")] == ["delete", "insert"]
        [line] = connection.execute(audit_log.select().where(audit_log.c.entity == "agent")).mappings()
        assert (line["entity_id"], line["to_state"], line["changed_by"]) == ("suport", "forgotten", "ana")
        with pytest.raises(NotFoundError, match="no agent 'suport' is known"):
            forget_agent(connection, "suport", "ana", NOW)


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("INSERT INTO routing_rules (name, pattern, agent_name) VALUES ('vip', '{}', 'support')", "the rule 'vip'"),
        (
            """INSERT INTO routing_rules (name, pattern, agent_name, fallbacks)
               VALUES ('vip', '{}', 'other', '[{"agent_name": "support"}]')""",
            "the rule 'vip'",
        ),
        (
            "INSERT INTO agents (agent_name, substitute_agent_name) VALUES ('sales', 'support')",
            "the agent 'sales', whose substitute it is",
        ),
    ],
)
def test_what_names_an_agent_is_said_and_keeps_it(engine: Engine, statement: str, named: str) -> None:
    with engine.begin() as connection:
        connection.execute(insert(probes), [probe("support", arrived=False)])
        connection.exec_driver_sql(statement)
        assert unused_agents(connection, ["support"]) == set()
        with pytest.raises(ConflictError) as refused:
            forget_agent(connection, "support", "ana", NOW)
        assert str(refused.value) == f"'support' cannot be forgotten; named by: {named}"
        assert "support" in latest_probes(connection)


def test_the_agent_of_a_rule_is_near_although_no_dispatch_has_named_it(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO routing_rules (name, pattern, agent_name) VALUES ('vip', '{}', 'support')"
        )
        with pytest.raises(NotFoundError, match="did you mean 'support'"):
            forget_agent(connection, "suport", "ana", NOW)
        assert warnings_about_agents(connection, ["suport"]) == [
            "no dispatch has asked for 'suport' before; is 'support' meant?"
        ]


@pytest.mark.parametrize("agent", ["support", "spanish/support"])
@pytest.mark.parametrize("project", ["", "default/"])
def test_agents_that_are_probed_on_a_schedule_stay(engine: Engine, project: str, agent: str) -> None:
    livekit = {"LIVEKIT_URL": "ws://livekit", "LIVEKIT_API_KEY": "key", "LIVEKIT_API_SECRET": "s" * 40}
    canaries = {"USHER_CANARY_AGENTS": project + agent, "USHER_CANARY_INTERVAL": "60"}
    scheduled = read_settings({**livekit, **canaries}).canary_names
    with engine.begin() as connection:
        connection.execute(insert(probes), [probe(agent, arrived=False)])
        with pytest.raises(ConflictError, match="USHER_CANARY_AGENTS"):
            forget_agent(connection, agent, "ana", NOW, scheduled=scheduled)
