"""Evaluates the rules for one event; the cost does not depend on the number of rules. No input or output."""

from __future__ import annotations

from app.db.types import OnMatch
from app.rules.book.decision import Decision, Outcome, Verdict
from app.rules.book.mismatch import first_mismatch
from app.rules.book.rule_book import BadRule, Rule, RuleBook
from app.rules.conditions.rollout import in_rollout
from app.rules.language.compile import audience_of_document
from app.rules.language.document import DocumentView, Work
from app.rules.language.limits import MAX_WORK
from app.rules.language.pattern import DEFAULT_EVENT, EVENT
from app.webhook.event import Event

__all__ = ["Decision", "Outcome", "Verdict", "evaluate"]

_PASSED_OVER = 100
# Times the work of a plain evaluation: every rule is evaluated, not only the candidates.
_EXPLAINED = 10
_JOINED = ((DEFAULT_EVENT, ()),)


def evaluate(book: RuleBook, event: Event, *, explain: bool = False) -> Decision:
    """Return the rules that match an event, as of the time it occurred.

    Rules are tried by priority, then id; after a match with `stop` no later one is. With `explain` every rule gets its
    verdict, which takes time in proportion to the book.
    """
    return _explain(book, event) if explain else _decide(book, event)


def _decide(book: RuleBook, event: Event) -> Decision:
    view = DocumentView(event.document)
    matched: list[Rule] = []
    passed_over: list[Verdict] = []
    judged: Rule | None = None
    candidates = book.index.candidates(
        view, is_default_event=_is_default_event(view), audience=audience_of_document(view)
    )
    for entry in candidates:
        rule = entry.rule
        if rule is judged or not entry.alternative.holds(view):
            continue
        judged = rule
        refused = _refusal(rule, event)
        if refused is None:
            matched.append(rule)
            if rule.on_match is OnMatch.STOP:
                break
        elif len(passed_over) < _PASSED_OVER:
            passed_over.append(refused)
    return Decision(book.version, tuple(matched), tuple(passed_over))


def _explain(book: RuleBook, event: Event) -> Decision:
    view = DocumentView(event.document, Work(_EXPLAINED * MAX_WORK))
    matched: list[Rule] = []
    verdicts: list[Verdict] = []
    ended_by: Rule | None = None
    for line in book.lines():
        verdict = _judge(book, line, event, view, ended_by)
        verdicts.append(verdict)
        if verdict.outcome is Outcome.MATCHED and isinstance(line, Rule):
            matched.append(line)
            ended_by = line if line.on_match is OnMatch.STOP else None
    near = {Outcome.PAUSED, Outcome.OUT_OF_HOURS, Outcome.OUTSIDE_ROLLOUT}
    passed_over = tuple(verdict for verdict in verdicts if verdict.outcome in near)
    return Decision(book.version, tuple(matched), passed_over, tuple(verdicts))


def _judge(book: RuleBook, line: Rule | BadRule, event: Event, view: DocumentView, ended_by: Rule | None) -> Verdict:
    if isinstance(line, BadRule):
        detail = "; ".join(map(str, line.problems))
        return Verdict(line.id, line.name, Outcome.BAD, detail=detail)
    if not line.enabled:
        return Verdict(line.id, line.name, Outcome.DISABLED)
    mismatch = first_mismatch(book.alternatives(line.id), view)
    if mismatch is not None:
        return Verdict(line.id, line.name, Outcome.PATTERN, mismatch=mismatch)
    if ended_by is not None:
        return Verdict(line.id, line.name, Outcome.SHADOWED, shadowed_by=ended_by.name)
    return _refusal(line, event) or Verdict(line.id, line.name, Outcome.MATCHED)


def _refusal(rule: Rule, event: Event) -> Verdict | None:
    """Return why a rule whose pattern matched does not apply; None when it does."""
    if rule.resumes_at is not None and event.occurred_at < rule.resumes_at:
        return Verdict(rule.id, rule.name, Outcome.PAUSED, detail=rule.paused_until or "")
    hours = rule.hours
    if hours is not None and not hours.covers(event.occurred_at):
        return Verdict(rule.id, rule.name, Outcome.OUT_OF_HOURS, detail=f"{rule.active_hours} ({rule.timezone})")
    if rule.rollout_percent < 100 and not in_rollout(rule.id, rule.rollout_percent, rule.rollout_key, event.document):
        return Verdict(
            rule.id, rule.name, Outcome.OUTSIDE_ROLLOUT, detail=f"{rule.rollout_percent} % by {rule.rollout_key}"
        )
    return None


def _is_default_event(view: DocumentView) -> bool:
    """Return whether the event is of the type that a pattern means which names none."""
    leaves = view.leaves(EVENT)
    return leaves == _JOINED or any(value == DEFAULT_EVENT for value, _ in leaves)
