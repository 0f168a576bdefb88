"""What names an agent, apart from dispatches that are over: rules, other agents, and dispatches under way."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from sqlalchemy import Connection, and_, or_, select, text, type_coerce

from app.db.any_of import any_of
from app.db.columns.written_types import WrittenJson
from app.db.tables import NOT_ENDED, agents, dispatches, probes, routing_rules
from app.db.types import LIVE
from app.rules.fallbacks import names_of_fallbacks
from app.translation import ntranslatable, translatable


def what_names(connection: Connection, agent_name: str) -> list[str]:
    """Return what names the agent, in words: each rule, each agent whose substitute it is, its dispatches under way."""
    rules = [
        translatable("the rule %(rule)s", rule=repr(rule))
        for rule, names in _named_by_rules(connection)
        if agent_name in names
    ]
    substituted = select(agents.c.agent_name).where(agents.c.substitute_agent_name == agent_name)
    others = [
        translatable("the agent %(agent)s, whose substitute it is", agent=repr(other))
        for other in connection.scalars(substituted.order_by(agents.c.agent_name))
    ]
    column = dispatches.c
    is_named = or_(
        column.agent_name == agent_name, column.asked_agent_name == agent_name, column.fallbacks.is_not(None)
    )
    live = select(column.agent_name, column.asked_agent_name, column.fallbacks).where(
        and_(text(NOT_ENDED), column.status.in_(LIVE)), is_named
    )
    count = sum(
        agent_name in {own, asked, *names_of_fallbacks(fallbacks)} for own, asked, fallbacks in connection.execute(live)
    )
    under_way = [ntranslatable("1 dispatch under way", "%(num)s dispatches under way", count)] if count else []
    return [*rules, *others, *under_way]


def unused_agents(connection: Connection, candidates: Iterable[str]) -> set[str]:
    """Return which of the agents, that no dispatch names, have never joined a probe, and no rule or agent names."""
    found = set(candidates)
    if not found:
        return found
    found -= agents_of_rules(connection)
    found.difference_update(connection.scalars(select(agents.c.substitute_agent_name)))
    return found - _joined_a_probe(connection, found)


def agents_of_rules(connection: Connection) -> set[str]:
    """Return the agents that rules name, their fallbacks too."""
    return {name for _, names in _named_by_rules(connection) for name in names}


def _joined_a_probe(connection: Connection, names: Collection[str]) -> set[str]:
    joined = select(probes.c.agent_name).where(probes.c.arrived, any_of(probes.c.agent_name, "names"))
    return set(connection.scalars(joined.distinct(), {"names": names}))


def _named_by_rules(connection: Connection) -> Iterator[tuple[str, set[str]]]:
    column = routing_rules.c
    query = select(column.name, column.agent_name, type_coerce(column.fallbacks, WrittenJson())).order_by(column.name)
    for rule, own, fallbacks in connection.execute(query):
        yield rule, {name for name in (own, *names_of_fallbacks(fallbacks)) if name}
