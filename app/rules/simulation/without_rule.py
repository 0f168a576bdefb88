"""What becomes of recent events if one rule is switched off."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from app.rules.book.decision import Decision
from app.rules.book.evaluate import evaluate
from app.rules.book.rule_book import RuleBook
from app.rules.goal import rule_goal
from app.translation import gettext, ngettext, number_text, translatable
from app.webhook.event import Event

NOBODY = translatable("no agent")


@dataclass(frozen=True, slots=True)
class WithoutRule:
    """How many recent events a rule acts on, and what acts on them in its place.

    `goals`: how many of them go to each other agent or action, the most frequent first. `hours`: how long ago the
    first of all events was.
    """

    events: int
    goals: tuple[tuple[str, int], ...]
    hours: float

    @property
    def per_hour(self) -> float:
        return self.events / self.hours

    def describe(self) -> str:
        """Return it as a sentence without its end, such as `about 2 callers an hour fall to support-en`."""
        if not self.events:
            return gettext("nothing changes for the latest events")
        names = [name if name != NOBODY else gettext(NOBODY) for name, _ in self.goals[:3]]
        goals = f" {gettext('and')} ".join([*names, *([gettext("others")] if len(self.goals) > 3 else [])])
        if self.per_hour >= 1.5:
            number = number_text(self.per_hour)
            return gettext("about %(number)s callers an hour fall to %(goals)s", number=number, goals=goals)
        return ngettext(
            "%(num)s recent caller falls to %(goals)s",
            "%(num)s recent callers fall to %(goals)s",
            self.events,
            goals=goals,
        )


def without_rule(book: RuleBook, rule_id: int, events: Sequence[Event], hours: float) -> WithoutRule:
    """Return what becomes of `events`, which are those of the last `hours`, without the rule."""
    others = book.updated((), (rule_id,), book.version)
    goals: Counter[str] = Counter()
    for event in events:
        if any(rule.id == rule_id for rule in evaluate(book, event).matched):
            goals[_goals(evaluate(others, event))] += 1
    return WithoutRule(goals.total(), tuple(goals.most_common()), max(hours, 1 / 60))


def _goals(decision: Decision) -> str:
    found = [rule_goal(rule.action, rule.agent_name, rule.transfer_to) for rule in decision.matched]
    return ", ".join(found) or NOBODY
