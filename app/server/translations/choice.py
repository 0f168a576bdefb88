"""Which language a reader gets: as chosen in the console, or as the browser asks for."""

from __future__ import annotations

from collections.abc import Mapping

from app.translation import ENGLISH, Language


def choose_language(languages: Mapping[str, Language], chosen: str, accepted: str) -> Language:
    """Return the chosen language, else the one that a header Accept-Language likes best, else English."""
    if chosen in languages:
        return languages[chosen]
    for tag in _by_preference(accepted):
        for known, language in languages.items():
            if tag == known.lower() or tag.partition("-")[0] == known.lower():
                return language
    return ENGLISH


def _by_preference(accepted: str) -> list[str]:
    """Return the tags of a header Accept-Language, the best first, in lower case; what cannot be read is left out."""
    found = []
    for part in accepted[:1000].split(","):
        tag, _, quality = part.partition(";")
        try:
            weight = float(quality.strip().removeprefix("q=") or "1")
        except ValueError:
            continue
        if weight > 0:
            found.append((weight, tag.strip().lower()))
    found.sort(key=lambda one: -one[0])
    return [tag for _, tag in found]
