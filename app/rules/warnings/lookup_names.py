"""Warnings about rules that name a missing, disabled or unusable lookup."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from app.errors import Problem, nearest
from app.rules.language.compile import Alternative
from app.rules.lookups.lookup_book import LookupBook
from app.rules.rule import Rule
from app.rules.templates.template import TemplateText, template_expressions
from app.translation import translatable
from app.webhook.lookup_answers import LOOKUP, STATUS_SUFFIX

_NAME: Final = "[A-Za-z][A-Za-z0-9_]*"
_IN_EXPRESSION: Final = re.compile(
    rf"""(?<![\w.]){LOOKUP}(?:\.({_NAME})|\[\s*(?:'({_NAME})'|"({_NAME})")\s*\])|'[^']*'|"[^"]*\""""
)
"""A lookup by its name; or a string, which is consumed so that its content is not taken for a name."""


def check_lookup_names(rule: Rule, alternatives: Sequence[Alternative], lookups: LookupBook) -> list[Problem]:
    """Return a problem for each lookup that a usable rule names and that is not asked; none if they are not known."""
    if not lookups.is_known:
        return []
    problems = (_check_name(path, name, lookups) for path, name in _named(rule, alternatives))
    return list(dict.fromkeys(problem for problem in problems if problem is not None))


def _named(rule: Rule, alternatives: Sequence[Alternative]) -> Iterator[tuple[str, str]]:
    for alternative in alternatives:
        for condition in alternative.conditions:
            if condition.path.startswith(f"{LOOKUP}."):
                yield condition.path, condition.path.split(".")[1]
    templates = [("metadata", rule.metadata_text), ("attributes", rule.attributes_text)]
    templates += [("fallbacks", fallback.metadata_text) for fallback in rule.fallback_agents]
    for column, text in templates:
        if text is None or LOOKUP not in text:  # saves nearly all rules the compilation
            continue
        for expression in template_expressions(TemplateText(text)):
            for found in _IN_EXPRESSION.finditer(expression):
                if name := found[1] or found[2] or found[3]:
                    yield column, name


def _check_name(path: str, name: str, lookups: LookupBook) -> Problem | None:
    names = lookups.names
    asked = name.removesuffix(STATUS_SUFFIX) if name not in names else name
    if asked not in names:
        near = nearest(asked, names)
        return Problem(
            path, translatable("names the lookup %(asked)s, which does not exist", asked=repr(asked)), name, near
        )
    lookup = lookups.named(asked)
    if lookup is None:
        return Problem(
            path,
            translatable("names the lookup %(asked)s, which cannot be used and is not asked", asked=repr(asked)),
            name,
        )
    return (
        None
        if lookup.enabled
        else Problem(path, translatable("names the lookup %(asked)s, which is disabled", asked=repr(asked)), name)
    )
