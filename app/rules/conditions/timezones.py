"""Names of IANA time zones."""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache
from zoneinfo import available_timezones

from app.errors import Problem
from app.translation import translatable


def check_timezone(timezone: str) -> list[Problem]:
    """Return what is wrong with the name of an IANA time zone."""
    zones = _zones()
    if timezone in zones:
        return []
    return [
        Problem(
            "timezone",
            translatable("is no IANA time zone; write one such as UTC or Europe/Madrid"),
            found=timezone,
            suggestion=_nearest_zone(timezone[:100]),
        )
    ]


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _nearest_zone(timezone: str) -> str | None:
    by_fold = {zone.casefold(): zone for zone in sorted(_zones())}
    wanted = timezone.strip().replace(" ", "_").replace("\\", "/").casefold()
    if wanted in by_fold:
        return by_fold[wanted]
    # "Madrid" alone means Europe/Madrid.
    cities = {
        fold.rsplit("/", 1)[-1]: zone for fold, zone in by_fold.items() if "/" in fold and not fold.startswith("etc/")
    }
    city = wanted.rsplit("/", 1)[-1]
    if city in cities:
        return cities[city]
    near = get_close_matches(wanted, by_fold, n=1, cutoff=0.75)
    if near:
        return by_fold[near[0]]
    near = get_close_matches(city, cities, n=1, cutoff=0.75)
    return cities[near[0]] if near else None
