"""Public holidays of countries and regions, from the `holidays` library.

The library is imported when a rule first names a country: it takes about 0.1 s. A country takes another few tens of
milliseconds at its first use, a year after that less than one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from difflib import get_close_matches
from functools import cache, lru_cache
from typing import Final

from app.errors import Problem
from app.translation import translatable

_MEANT_COUNTRIES: Final = {
    "UK": "GB",
    "EN": "GB",
    "EL": "GR",
    "USA": "US",
    "GBR": "GB",
    "DEU": "DE",
    "ESP": "ES",
    "FRA": "FR",
}
# On which day a holiday on a weekend is observed is law of these countries' regions. The days that all of them keep
# are holidays of the country.
_LEFT_TO_REGIONS: Final = frozenset({"AU"})
_YEARS_KEPT: Final = 512  # sets of one country and year, a few kB each


class PublicHolidayCalendar:
    """The public holidays of one country or region, years looked up as they are asked for."""

    __slots__ = ("_code",)

    def __init__(self, code: str) -> None:
        self._code = code

    def is_holiday(self, day: date) -> bool:
        """Return whether `day` is a public holiday, or the day on which one is observed."""
        return day in _holidays_of_year(self._code, day.year)


class NoHolidays:
    """The calendar of a rule that names no country."""

    __slots__ = ()

    def is_holiday(self, day: date) -> bool:  # noqa: ARG002 - protocol
        """Return False."""
        return False


def check_holidays(holidays: str | None) -> list[Problem]:
    """Return what is wrong with the code of a country or region; None means no public holidays."""
    if holidays is None:
        return []
    regions = _regions_by_country()
    country, _, region = holidays.partition("-")
    if country in regions and ("-" not in holidays or region in regions[country]):
        return []
    code = holidays.strip().upper().replace("_", "-").replace(" ", "-")
    country, _, region = code.partition("-")
    country = _MEANT_COUNTRIES.get(country, country)
    if country not in regions:
        message = translatable(
            "is no country whose public holidays are known; write an ISO 3166 code, such as ES, GB or DE-BY"
        )
        return [Problem("holidays", message, found=holidays)]
    if not region:
        message = translatable(
            "is no country whose public holidays are known; write an ISO 3166 code, such as ES, GB or DE-BY"
        )
        return [Problem("holidays", message, found=holidays, suggestion=country)]
    by_fold = {name.upper(): name for name in regions[country]}
    near = region if region in by_fold else next(iter(get_close_matches(region, by_fold, n=1, cutoff=0.75)), None)
    if near is not None:
        message = translatable("is no region whose public holidays are known")
        return [Problem("holidays", message, found=holidays, suggestion=f"{country}-{by_fold[near]}")]
    known = ", ".join(regions[country][:20]) or "none"
    message = translatable(
        "names a region of %(country)s without public holidays of its own that are known (known: %(known)s)",
        country=country,
        known=known,
    )
    return [Problem("holidays", message, found=holidays, suggestion=country)]


def known_countries() -> frozenset[str]:
    """Return the ISO 3166 codes of all countries whose public holidays are known."""
    return frozenset(_regions_by_country())


@cache
def _regions_by_country() -> Mapping[str, tuple[str, ...]]:
    import holidays  # noqa: PLC0415 - see the top of the module

    return {
        country: tuple(regions)
        for country, regions in holidays.list_supported_countries(include_aliases=False).items()
        if len(country) == len("ES")
    }


@lru_cache(maxsize=_YEARS_KEPT)
def _holidays_of_year(code: str, year: int) -> frozenset[date]:
    country, _, region = code.partition("-")
    days = _listed_days(country, region or None, year)
    if country in _LEFT_TO_REGIONS and not region:
        by_region = [_listed_days(country, one, year) for one in _regions_by_country()[country]]
        days |= frozenset.intersection(*by_region)
    return days


def _listed_days(country: str, region: str | None, year: int) -> frozenset[date]:
    import holidays  # noqa: PLC0415 - see the top of the module

    days: set[date] = set()
    # Where a holiday on a weekend is observed on another day, both are holidays. Some countries leave the day itself
    # out of the observed ones (Spain: Sundays), so both lists are needed.
    for observed in (True, False):
        days.update(holidays.country_holidays(country, subdiv=region, years=year, observed=observed))
    return frozenset(day for day in days if day.year == year)
