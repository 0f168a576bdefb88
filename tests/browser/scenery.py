"""Data for every page: calls of every outcome, and dispatches and probes of a week."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import insert, update

from app.accounts.roles import Role
from app.accounts.saved_views import ViewUser, save_view
from app.accounts.users import list_users
from app.db.record_ids import lowest_id_at
from app.db.tables import dispatches, probes, saved_views
from app.livekit.vocabulary import ParticipantKind
from app.simulator import Behaviour
from tests.harness.stage import Stage

RULES: tuple[dict[str, Any], ...] = (
    {
        "name": "spanish support",
        "description": "Callers from Spain and Catalonia. Ask Ana before changing.",
        "priority": 10,
        "pattern": {"participant": {"metadata": {"department": ["support"], "language": ["es", "ca"]}}},
        "agent_name": "support-es",
        "metadata": {"language": {"$eval": "participant.metadata.language"}, "who": {"$eval": "participant.identity"}},
        "attributes": {"team": "iberia"},
        "objective_percent": 90,
        "objective_s": 3,
    },
    {
        "name": "phone line",
        "priority": 20,
        "pattern": {"participant": {"phone": {"called": ["+15557654321"]}}},
        "agent_name": "phone-agent",
        "recover": "lost",
        "objective_percent": 95,
        "objective_s": 2.5,
    },
    {
        "name": "premium customers",
        "priority": 30,
        "pattern": {"participant": {"attributes": {"plan": ["premium", {"prefix": "gold"}]}}},
        "agent_name": "concierge",
        "answer_timeout_s": 1,
        "max_attempts": 1,
        "fallbacks": ["support-en"],
    },
    {
        "name": "billing after hours",
        "priority": 40,
        "pattern": {"room": {"name": [{"prefix": "billing-"}]}},
        "agent_name": "billing-night",
        "answer_timeout_s": 1,
        "max_attempts": 1,
    },
    {
        "name": "new voice, one in ten",
        "priority": 50,
        "enabled": False,
        "pattern": {"participant": {"metadata": {"department": ["support"]}}},
        "agent_name": "support-next",
        "rollout_percent": 10,
    },
    {
        "name": "support",
        "priority": 100,
        "pattern": {"participant": {"metadata": {"department": ["support"]}}},
        "agent_name": "support-en",
    },
    {
        "name": "support, again",
        "priority": 110,
        "pattern": {"participant": {"metadata": {"department": ["support"]}}},
        "agent_name": "support-old",
    },
)


def set_scene(stage: Stage) -> None:
    """Fill the stage; returns once every caller has met their fate."""
    for name, role in (("maria", Role.ADMIN), ("ana", Role.EDITOR), ("joel", Role.VIEWER)):
        stage.add_user(name, role)
    stage.write(_save_views)
    stage.add_rules(*RULES)
    stage.add_rules({**RULES[0], "priority": 12}, editor="ana")
    stage.add_rules({**RULES[0], "answer_timeout_s": 12}, editor="ana")
    stage.write(_add_a_week)
    stage.write(_add_probes)
    for agent in ("support-es", "support-en", "phone-agent"):
        stage.add_worker(agent)
    stage.add_worker("slow-agent", Behaviour(never_joins=True))
    support = {"department": "support", "language": "es"}
    stage.join("support-7f3a", "ana.perez", support, name="Ana Pérez")
    stage.join("support-81cc", "tom.baker", {"department": "support", "language": "en"}, name="Tom Baker")
    phone = {"sip.phoneNumber": "+34600111222", "sip.trunkPhoneNumber": "+15557654321", "sip.ruleID": "SDR_1"}
    stage.join("call-_+34600111222_xVA4", "sip_+34600111222", kind=ParticipantKind.SIP, attributes=phone)
    stage.join("vip-1", "lady.gold", attributes={"plan": "gold-2026"})
    stage.join("lobby", "visitor-93", {"language": "de"}, name="Visitor")
    stage.join("billing-4410", "dora.lee", {"account": 4410})
    for identity in ("ana.perez", "tom.baker", "sip_+34600111222", "lady.gold"):
        stage.wait_for(identity, "joined")
    stage.wait_for("dora.lee", "no_show")
    stage.add_rules(
        {
            "name": "sales",
            "priority": 60,
            "pattern": {"participant": {"metadata": {"department": ["sales"]}}},
            "agent_name": "slow-agent",
            "answer_timeout_s": 600,
        }
    )
    stage.join("sales-19c2", "ben.ito", {"department": "sales", "language": "en"}, name="Ben Ito")
    stage.join("sales-22d1", "chloe.m", {"department": "sales", "language": "fr"}, name="Chloé M.")
    stage.wait_for("ben.ito", "dispatched")
    stage.wait_for("chloe.m", "dispatched")
    stage.join("sales-30ff", "eli.gone", {"department": "sales"})
    stage.wait_for("eli.gone", "dispatched")
    stage.do(lambda: stage.simulator.leave("sales-30ff", "eli.gone"))
    stage.wait_for("eli.gone", "cancelled")
    stage.do(lambda: stage.simulator.leave("support-81cc", "tom.baker"))


def _save_views(connection: Any) -> None:
    """Save a view of maria's, one that ana shares, and one with a filter of a later version."""
    now = datetime.now(UTC)
    users = {user.name: ViewUser(user.id, user.name, user.role, None) for user in list_users(connection)}
    save_view(connection, users["maria"], "Nobody came", "outcome=no_agent", now=now)
    save_view(connection, users["ana"], "Waiting now", "state=waiting", now=now, shared=True)
    odd = save_view(connection, users["maria"], "Sentiment", "q=billing", now=now)
    connection.execute(update(saved_views).where(saved_views.c.id == odd.id).values(query="sentiment=angry&q=billing"))


def _add_probes(connection: Any) -> None:
    """Insert probes of the last hour, one of which failed."""
    now = datetime.now(UTC)
    rows: list[dict[str, Any]] = []
    for minutes in range(55, 0, -5):
        for agent, milliseconds in (("support-es", 420 + minutes), ("phone-agent", 1310 - 3 * minutes)):
            began = now - timedelta(minutes=minutes)
            came = not (agent == "phone-agent" and minutes == 20)
            rows.append(
                {
                    "id": f"{lowest_id_at(began)}{len(rows):09x}",
                    "project": "default",
                    "agent_name": agent,
                    "started_at": began,
                    "finished_at": began + timedelta(seconds=2 if came else 20),
                    "arrived": came,
                    "milliseconds_to_agent": milliseconds if came else None,
                    "detail": "" if came else "no agent came within 20 s: no worker took the job",
                }
            )
    connection.execute(insert(probes), rows)


def _add_a_week(connection: Any) -> None:
    """Insert dispatches of the last seven days, as Usher would have written them."""
    chance = random.Random(7)
    now = datetime.now(UTC)
    shares = (("support-es", "spanish support", 5), ("support-en", "support", 8), ("phone-agent", "phone line", 4))
    names = [(agent, rule) for agent, rule, weight in shares for _ in range(weight)]
    rows = []
    for number in range(900):
        made = now - timedelta(minutes=8 + chance.expovariate(1 / 1900) % 10_000)
        agent, rule = chance.choice(names)
        waited = min(40.0, chance.lognormvariate(-0.6, 0.75) + (1.2 if agent == "phone-agent" else 0))
        fate = chance.random()
        status, cause, reason = "ended", "agent_left", "the agent left"
        if fate >= 0.96:
            status, cause, reason = "no_show", "no_agent", f"{agent} did not join"
        if fate > 0.975:
            status, cause, reason = "cancelled", "caller_left", f"the caller gave up after {waited * 4:.1f} s"
        came = status == "ended"
        unique = f"{number:09x}"
        rows.append(
            {
                "id": lowest_id_at(made) + unique,
                "event_id": f"seed-{number}",
                "rule_id": 1,
                "rule_name": rule,
                "rules_version": 1,
                "project": "default",
                "room_name": f"room-{number}",
                "room_sid": f"RM_{number}",
                "participant_identity": f"caller-{number}",
                "participant_sid": f"PA_{number}",
                "agent_name": agent,
                "metadata": "{}",
                "attributes": {},
                "scope": "room",
                "intent_key": f"seed-{number}",
                "status": status,
                "cause": cause,
                "reason": reason,
                "answer_timeout_s": 15,
                "max_attempts": 3,
                "recover": "never",
                "withdraw": False,
                "attempts": 1,
                "created_at": made,
                "dispatched_at": made + timedelta(seconds=0.02),
                "joined_at": made + timedelta(seconds=waited) if came else None,
                "ended_at": made + timedelta(seconds=waited * (1 if came else 4)),
            }
        )
    connection.execute(insert(dispatches), rows)
