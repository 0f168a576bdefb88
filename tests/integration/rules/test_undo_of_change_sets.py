"""A change set is undone as a whole; what was changed again since is named, and refuses it or stays."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Connection, Engine, update

from app.agents.agent_check import complete as complete_agent
from app.db.record_ids import instant_of_id
from app.db.tables import routing_rules
from app.errors import ConflictError, NotFoundError
from app.rules.columns import complete
from app.rules.editing.apply import apply
from app.rules.editing.difference import diff
from app.rules.editing.edit_rule import change_rule, create_rule, delete_rule
from app.rules.editing.history import history
from app.rules.editing.rule_set import apply_file
from app.rules.editing.rules_file import RulesFile
from app.rules.editing.stored_rules import read_rules, rules_version
from app.rules.editing.undo.undo_set import UndoneSet, plan_undo_set, sizes_of_sets, undo_set
from app.server.api.routes import ENDPOINTS
from tests.conftest import Database

BEFORE = (
    {"name": "first", "pattern": {"room": {"name": ["a"]}}, "agent_name": "one", "priority": 10},
    {"name": "second", "pattern": {"room": {"name": ["b"]}}, "agent_name": "two", "priority": 20},
    {"name": "third", "pattern": {"room": {"name": ["c"]}}, "agent_name": "three", "priority": 30},
)
AFTER = (
    {**BEFORE[0], "priority": 11, "agent_name": "other", "pattern": {"room": {"name": ["a", "z"]}}},
    {**BEFORE[1], "description": "changed"},
    {"name": "fourth", "pattern": {"room": {"name": ["d"]}}, "agent_name": "four"},
)


@pytest.fixture
def engine(database: Database) -> Engine:
    return database.writer_engine()


def put(connection: Connection, *rules: dict[str, Any], **options: Any) -> str:
    """Make the rules equal to these, and return the change set."""
    apply_file(connection, RulesFile(tuple(map(complete, rules)), **options), delete=True, editor="eva", why="launch")
    return str(history(connection, limit=1)[0].change_set)


def rows(connection: Connection) -> list[dict[str, Any]]:
    return sorted(read_rules(connection), key=lambda row: row["id"])


def id_of(connection: Connection, name: str) -> int:
    return int(next(row["id"] for row in read_rules(connection) if row["name"] == name))


def test_rules_are_as_before_the_set_and_the_undo_is_a_set_of_its_own(engine: Engine) -> None:
    with engine.begin() as connection:
        put(connection, *BEFORE)
        before, version = rows(connection), rules_version(connection)
        change_set = put(connection, *AFTER)
        after = rows(connection)
        undone = undo_set(connection, change_set, "ana", why="wrong day")
        assert rows(connection) == before
        assert undone.conflicts == []
        changes = history(connection, after_version=undone.version - len(undone.differences))
        assert {change.why for change in changes} == {f"undo of {change_set}: wrong day"}
        assert {change.changed_by for change in changes} == {"ana"}
        [own] = {change.change_set for change in changes}
        assert own != change_set
        assert sizes_of_sets(connection, [str(own), change_set]) == {own: 4, change_set: 4}
        assert len(history(connection, after_version=version)) == 8
        # And the undo is undone likewise
        undo_set(connection, str(own), "ana")
        assert rows(connection) == after


def test_a_dry_run_names_each_value_and_writes_nothing(engine: Engine) -> None:
    with engine.begin() as connection:
        put(connection, *BEFORE)
        change_set = put(connection, *AFTER)
        stored = rows(connection)
        plan = undo_set(connection, change_set, "", dry_run=True)
        assert rows(connection) == stored
        shown = {one.name: (str(one.change), [str(value) for value in one.values]) for one in plan.differences}
        assert shown["first"] == (
            "changed",
            ["priority: 11 → 10", 'pattern.room.name: ["a", "z"] → ["a"]', 'agent_name: "other" → "one"'],
        )
        assert shown["second"] == ("changed", ['description: "changed" → ""'])
        assert (shown["third"][0], shown["fourth"][0]) == ("created", "deleted")
        assert not plan.written


def test_what_was_changed_again_since_refuses_the_undo_by_rule_and_field(engine: Engine) -> None:
    with engine.begin() as connection:
        put(connection, *BEFORE)
        change_set = put(connection, *AFTER)
        change_rule(connection, id_of(connection, "first"), {"priority": 12}, "bob", None, whole=False)
        change_rule(connection, id_of(connection, "fourth"), {"agent_name": "five"}, "bob", None, whole=False)
        stored = rows(connection)
        with pytest.raises(ConflictError, match="nothing was undone") as refused:
            undo_set(connection, change_set, "ana")
        for part in ("rule 'first': priority changed again since; priority: 11 → 12",
                     "rule 'fourth': was changed since it was created", 'agent_name: "four" → "five"'):  # fmt: skip
            assert part in str(refused.value)
        assert rows(connection) == stored
        # When the rest is undone, then later changes stay
        undone = undo_set(connection, change_set, "ana", skip_changed=True)
        assert {conflict.rule for conflict in undone.conflicts} >= {"first", "fourth"}
        found = {row["name"]: row for row in rows(connection)}
        assert (found["first"]["priority"], found["first"]["agent_name"]) == (12, "one")
        assert found["second"]["description"] == ""
        assert found["fourth"]["agent_name"] == "five"


def test_other_columns_changed_since_stay(engine: Engine) -> None:
    with engine.begin() as connection:
        put(connection, *BEFORE)
        change_set = put(connection, *AFTER)
        change_rule(connection, id_of(connection, "first"), {"description": "kept"}, "bob", None, whole=False)
        assert undo_set(connection, change_set, "ana").conflicts == []
        found = {row["name"]: row for row in rows(connection)}
        assert (found["first"]["description"], found["first"]["priority"]) == ("kept", 10)


def test_a_rule_that_is_deleted_since_and_a_name_that_is_taken_are_conflicts(engine: Engine) -> None:
    with engine.begin() as connection:
        put(connection, *BEFORE)
        change_set = put(connection, *AFTER)
        delete_rule(connection, id_of(connection, "second"), "bob", None)
        create_rule(connection, complete(BEFORE[2]), "bob")
        plan = plan_undo_set(connection, change_set)
        assert {(one.rule, one.message) for one in plan.conflicts} >= {("second", "is deleted since")}
        assert any("third" in str(one) for one in plan.conflicts)
        undone = undo_set(connection, change_set, "ana", skip_changed=True)
        assert sorted(row["name"] for row in rows(connection)) == ["first", "third"]
        assert undone.is_effective


def test_a_rule_that_has_the_id_of_a_deleted_one_is_left_alone(engine: Engine) -> None:
    with engine.begin() as connection:
        put(connection, BEFORE[0])
        created = put(connection, *BEFORE[:2])
        changed = put(connection, BEFORE[0], {**BEFORE[1], "priority": 21})
        the_id = id_of(connection, "second")
        deleted = put(connection, BEFORE[0])
        put(connection, BEFORE[0], {**BEFORE[2], "priority": 21})
        # As SQLite gave ids before revision 0036
        connection.execute(update(routing_rules).where(routing_rules.c.name == "third").values(id=the_id))
        here = rows(connection)
        undone = plan_undo_set(connection, changed)
        assert [(one.rule, one.message) for one in undone.conflicts] == [("second", "is deleted since")]
        assert undone.differences == []
        undone = plan_undo_set(connection, created)
        assert (undone.differences, undone.conflicts) == ([], [])
        undo_set(connection, deleted, "ana")
        assert [row["name"] for row in rows(connection)] == ["first", "third", "second"]
        assert rows(connection)[:2] == here
        assert rows(connection)[2]["priority"] == 21
        # It is the same rule under its new id: the undo is done, the sets before it know the rule
        again = undo_set(connection, deleted, "ana")
        assert (again.differences, again.conflicts) == ([], [])
        undo_set(connection, changed, "ana")
        assert rows(connection)[2]["priority"] == 20
        undo_set(connection, created, "ana")
        assert rows(connection) == here


def test_a_rule_that_was_put_back_is_the_one_that_was_deleted(engine: Engine) -> None:
    with engine.begin() as connection:
        put(connection, *BEFORE[:2])
        changed = put(connection, BEFORE[0], {**BEFORE[1], "priority": 21})
        deleted = put(connection, BEFORE[0])
        undo_set(connection, deleted, "ana")
        undo_set(connection, changed, "ana")
        assert [row["priority"] for row in rows(connection)] == [10, 20]


def test_names_that_were_exchanged_are_exchanged_back(engine: Engine) -> None:
    with engine.begin() as connection:
        put(connection, *BEFORE)
        before = rows(connection)
        ids = [row["id"] for row in before]
        wanted = [{**row, "name": name} for row, name in zip(before, ("second", "first", "third"), strict=True)]
        apply(connection, diff(before, wanted, delete=False, by="id"), "eva", rules_version(connection))
        change_set = str(history(connection, limit=1)[0].change_set)
        undo_set(connection, change_set, "ana")
        assert rows(connection) == before
        assert [row["id"] for row in rows(connection)] == ids


def test_undone_twice_it_changes_nothing(engine: Engine) -> None:
    with engine.begin() as connection:
        put(connection, *BEFORE)
        change_set = put(connection, {**BEFORE[0], "priority": 5}, *BEFORE[1:])
        undo_set(connection, change_set, "ana")
        version = rules_version(connection)
        again: UndoneSet = undo_set(connection, change_set, "ana")
        assert (again.is_effective, again.conflicts, rules_version(connection)) == (False, [], version)
        with pytest.raises(NotFoundError, match=r"no change of rules .* see: usher rules history"):
            undo_set(connection, "unheard-of", "ana")
        with pytest.raises(NotFoundError, match=f"did you mean .*{change_set}"):
            undo_set(connection, change_set[:-1], "ana")


def test_the_history_of_an_unknown_rule_names_the_nearest(engine: Engine) -> None:
    with engine.begin() as connection:
        put(connection, *BEFORE)
        with pytest.raises(NotFoundError, match="no rule is or was named 'secnd'; did you mean 'second'"):
            history(connection, "secnd")


def test_the_api_documents_a_change_set_as_long_as_real_ones(engine: Engine) -> None:
    (endpoint,) = (one for one in ENDPOINTS if one.path == "/api/v1/rules/undo")
    with engine.begin() as connection:
        made = put(connection, *BEFORE)
    documented = endpoint.example["change_set"]
    assert len(documented) == len(made)
    assert instant_of_id(documented) is not None
    assert instant_of_id(made) is not None


def test_agents_of_the_set_stay_and_are_counted(engine: Engine) -> None:
    with engine.begin() as connection:
        put(connection, *BEFORE)
        agents = (complete_agent({"agent_name": "one", "max_calls": 3}),)
        change_set = put(connection, *AFTER, agents=agents)
        assert undo_set(connection, change_set, "ana").others == {"agents": 1}
