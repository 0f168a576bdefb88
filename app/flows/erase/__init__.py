"""Removes what is stored about people: `erase` one person on request. `scrub` says what is left of a row."""
