"""Limits of one pattern, so that no rule can make matching slow or the process large.

The figures are far above what people write; README.md lists them.
"""

from __future__ import annotations

MAX_DEPTH = 32
"""Objects within objects (and `$or` within `$or`)."""
MAX_ALTERNATIVES = 256
"""Alternatives that `$or` multiplies out to: two `$or` of 16 branches side by side are 256 alternatives."""
MAX_CONDITIONS = 2_048
"""Fields named, summed over all alternatives."""
MAX_VALUES = 10_000
"""Values in all lists together."""
MAX_PARTS = 64
"""Parts of a field's dotted path."""
MAX_TEXT = 4_096
"""Characters of one value or field name."""
MAX_WILDCARDS = 64
"""Asterisks in one wildcard."""
MAX_PROBLEMS = 100
"""Mistakes reported of one pattern."""
MAX_STEPS = 200_000
"""Combinations of array elements tried for one alternative of one rule; beyond them it does not match."""
MAX_WORK = 500_000
"""Values of arrays tested, and combinations tried, for one event by all rules; beyond them array conditions fail."""
