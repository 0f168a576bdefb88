"""Warnings about rules that name lookups which nobody asks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from app.errors import Problem, nearest
from app.rules.language.pattern import full_pattern, read_pattern
from app.rules.lookups.lookup_book import LookupBook
from app.rules.rule import Rule
from app.webhook.lookup_answers import LOOKUP, STATUS_SUFFIX

_IN_TEMPLATE: Final = re.compile(rf"""\b{LOOKUP}(?:\.|\[\\?["'])([A-Za-z][A-Za-z0-9_]*)""")


def check_lookup_names(rule: Rule, lookups: LookupBook) -> list[Problem]:
    """Return a problem for each lookup that a usable rule names and that is not asked; none if they are not known."""
    if not lookups.is_known:
        return []
    problems = (_check_name(path, name, lookups) for path, name in _named(rule))
    return list(dict.fromkeys(problem for problem in problems if problem is not None))


def _named(rule: Rule) -> Iterator[tuple[str, str]]:
    for alternative in read_pattern(full_pattern(rule.pattern)).alternatives:
        for path in alternative:
            if path.startswith(f"{LOOKUP}."):
                yield path, path.split(".")[1]
    templates = {"metadata": rule.metadata_text, "attributes": rule.attributes_text, "fallbacks": rule.fallbacks_text}
    for column, text in templates.items():
        for found in _IN_TEMPLATE.finditer(text or ""):
            yield column, found[1]


def _check_name(path: str, name: str, lookups: LookupBook) -> Problem | None:
    names = lookups.names
    asked = name.removesuffix(STATUS_SUFFIX) if name not in names else name
    if asked not in names:
        near = nearest(asked, names)
        return Problem(path, f"names the lookup {asked!r}, which does not exist", name, near)
    lookup = lookups.named(asked)
    if lookup is None:
        return Problem(path, f"names the lookup {asked!r}, which cannot be used and is not asked", name)
    return None if lookup.enabled else Problem(path, f"names the lookup {asked!r}, which is disabled", name)
