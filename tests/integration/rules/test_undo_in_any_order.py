"""Sets of changes, by Usher and by plain SQL, are made and undone at random; a model says what each undo must give."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pytest
from sqlalchemy import Connection, Engine, select, text

from app.clock import new_id
from app.db.editing.edit import edited_by
from app.db.tables import routing_rules, rule_changes
from app.errors import ConflictError
from app.rules.editing.undo.undo_set import undo_set
from tests.conftest import Database

NAMES = ("f", "g", "h", "i")
AGENTS = ("one", "two")


@dataclass(frozen=True)
class Rule:
    """What the test varies of a rule. The description is never changed: it says which rule it is, whatever its id."""

    id: int
    name: str
    priority: int
    agent_name: str


Rules = Mapping[str, Rule]
COLUMNS = ("name", "priority", "agent_name")


def stored(connection: Connection) -> dict[str, Rule]:
    rule = routing_rules.c
    query = select(rule.description, rule.id, rule.name, rule.priority, rule.agent_name)
    return {row[0]: Rule(*row[1:]) for row in connection.execute(query)}


def undone(now: Rules, before: Rules, after: Rules) -> Rules | None:
    """Return the rules once a set that led from `before` to `after` is undone; None: it must be refused."""
    found = dict(now)
    for key in before.keys() | after.keys():
        was, became, is_now = before.get(key), after.get(key), now.get(key)
        if was is None and is_now is not None:
            if not same(is_now, became):
                return None
            del found[key]
        elif was is not None and became is None:
            if is_now is not None and not same(is_now, was):
                return None
            found[key] = is_now or was
        elif was is not None and became is not None:
            changed = [name for name in COLUMNS if getattr(was, name) != getattr(became, name)]
            if is_now is None or any(
                getattr(is_now, name) not in {getattr(was, name), getattr(became, name)} for name in changed
            ):
                return None
            found[key] = replace(is_now, **{name: getattr(was, name) for name in changed})
    names = Counter(rule.name for rule in found.values())
    return None if any(count > 1 for count in names.values()) else found


def same(one: Rule | None, other: Rule | None) -> bool:
    return one is not None and other is not None and replace(one, id=0) == replace(other, id=0)


@dataclass
class Play:
    """Random edits of one database, and the sets that they made."""

    engine: Engine
    kind: str
    chance: random.Random
    sets: list[tuple[str, Rules, Rules]] = field(default_factory=list)
    names: dict[str, set[str]] = field(default_factory=dict)
    """Each name that a rule ever had."""
    ids: dict[str, int] = field(default_factory=dict)
    """The id that a rule has, or had last."""
    had: dict[tuple[int, str], None] = field(default_factory=dict)
    """Each id and the rules that had it."""
    seen: Counter[str] = field(default_factory=Counter)

    def edit(self) -> None:
        """Change rules at random in one transaction: by Usher, or one by plain SQL."""
        with self.engine.begin() as connection:
            before = stored(connection)
            if self.chance.random() < 0.5:
                with edited_by(connection, "eva", change_set=new_id()):
                    for _ in range(self.chance.randint(1, 4)):
                        self._edit_one(connection)
            else:
                self._edit_one(connection)
        self._remember(before)

    def undo(self) -> None:
        change_set, was, became = self.chance.choice(self.sets[-12:])
        with self.engine.connect() as connection:
            before = stored(connection)
        expected = undone(before, was, became)
        with self.engine.begin() as connection:
            if expected is None:
                with pytest.raises(ConflictError):
                    undo_set(connection, change_set, "ana")
                self.seen["refused"] += 1
                return
            undo_set(connection, change_set, "ana")
        with self.engine.connect() as connection:
            now = stored(connection)
        assert {key: replace(rule, id=0) for key, rule in now.items()} == {
            key: replace(rule, id=0) for key, rule in expected.items()
        }
        taken = {rule.id for rule in before.values()}
        for key, rule in now.items():
            if key in before or self.ids[key] not in taken:
                assert rule.id == self.ids[key], "a rule keeps its id, and has it again unless another one has it"
            else:
                self.seen["under another id"] += 1
        self.seen["undone" if now != before else "nothing to undo"] += 1
        self._remember(before)

    def _remember(self, before: Rules) -> None:
        with self.engine.connect() as connection:
            now = stored(connection)
            last = connection.scalar(select(rule_changes.c.change_set).order_by(rule_changes.c.id.desc()).limit(1))
        for key, rule in now.items():
            self.ids[key] = rule.id
            self.had[rule.id, key] = None
            self.names.setdefault(key, set()).add(rule.name)
        changed = {key for key in before.keys() | now.keys() if before.get(key) != now.get(key)}
        if changed:
            was, became = ({key: side[key] for key in changed & side.keys()} for side in (before, now))
            self.sets.append((str(last), was, became))

    def _edit_one(self, connection: Connection) -> None:
        rules = stored(connection)
        key = self.chance.choice(sorted(rules)) if rules else ""
        free = [name for name in NAMES if name not in {rule.name for rule in rules.values()}]
        values = {"key": key, "priority": self.chance.randint(1, 3), "agent": self.chance.choice(AGENTS)}
        which = self.chance.random()
        if key and which < 0.3:
            connection.execute(text("DELETE FROM routing_rules WHERE description = :key"), values)
        elif key and which < 0.45:
            change = "UPDATE routing_rules SET priority = :priority, agent_name = :agent WHERE description = :key"
            connection.execute(text(change), values)
        elif key and free and which < 0.6:
            values["name"] = self.chance.choice(free)
            connection.execute(text("UPDATE routing_rules SET name = :name WHERE description = :key"), values)
            self.names[key].add(str(values["name"]))
        elif key and which < 0.65 and self.kind == "sqlite":
            values |= {"id": rules[key].id, "name": rules[key].name}
            self._insert(connection, values, "INSERT OR REPLACE")
        elif free:
            values |= {"key": new_id(), "name": self.chance.choice(free)}
            self.names[str(values["key"])] = {str(values["name"])}
            self._insert(connection, values | self._id_of_a_deleted_one(rules, str(values["name"])))

    def _id_of_a_deleted_one(self, rules: Rules, name: str) -> dict[str, int]:
        """Return an id that plain SQL gives again: of no rule that ever had the name, which would be one put back."""
        names: dict[int, set[str]] = {}
        for rule_id, key in self.had:
            names.setdefault(rule_id, set()).update(self.names[key])
        for rule in rules.values():
            names.pop(rule.id, None)
        free = [rule_id for rule_id, known in names.items() if name not in known]
        return {"id": self.chance.choice(free)} if free and self.chance.random() < 0.5 else {}

    def _insert(self, connection: Connection, values: Mapping[str, object], verb: str = "INSERT") -> None:
        columns = "id, " if "id" in values else ""
        given = ":id, " if "id" in values else ""
        connection.execute(
            text(
                f"{verb} INTO routing_rules ({columns}name, pattern, agent_name, description, priority)"
                f' VALUES ({given}:name, \'{{"room": {{"name": ["x"]}}}}\', :agent, :key, :priority)'
            ),
            values,
        )


@pytest.mark.parametrize("seed", range(3))
def test_an_undo_restores_the_state_before_its_set_and_nothing_else(database: Database, seed: int) -> None:
    play = Play(database.writer_engine(), database.kind, random.Random(seed))
    for _ in range(150):
        play.edit() if play.chance.random() < 0.5 or not play.sets else play.undo()
    for what in ("undone", "nothing to undo", "refused"):
        assert play.seen[what] > 0, (what, play.seen)
