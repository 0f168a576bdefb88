"""Routing rules: which of them match an event, and why.

`matches` is the bare language, `evaluate` applies a `RuleBook` to an event. README.md in this folder is normative.
"""

from app.rules.book.evaluate import Decision, evaluate
from app.rules.book.rule_book import BadRule, Rule, RuleBook
from app.rules.language.compile import matches
from app.rules.language.pattern import PatternError, check_pattern

__all__ = ["BadRule", "Decision", "PatternError", "Rule", "RuleBook", "check_pattern", "evaluate", "matches"]
