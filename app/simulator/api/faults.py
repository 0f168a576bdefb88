"""Faults of calls to the server: refused, failed before or after taking effect, cut, slow, without an answer."""

from __future__ import annotations

import random
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum


class FaultKind(Enum):
    """How one call goes wrong; BEFORE and AFTER say whether it took effect all the same."""

    REFUSE = "refuse"
    """Answered with the fault's code, without effect."""
    ERROR_AFTER = "error_after"
    """Takes effect, then answers with the fault's code."""
    RESET_BEFORE = "reset_before"
    """The connection is cut, without effect."""
    RESET_AFTER = "reset_after"
    """Takes effect, then the connection is cut."""
    HANG_BEFORE = "hang_before"
    """No effect and no answer for `seconds`, then the fault's code."""
    HANG_AFTER = "hang_after"
    """Takes effect at once, no answer for `seconds`, then the right answer."""
    LATE = "late"
    """Takes effect only after `seconds`: possibly after its caller has given up and checked."""
    SLOW = "slow"
    """As LATE, but counted apart: the caller is expected to wait."""

    @property
    def takes_effect(self) -> bool:
        return self not in (FaultKind.REFUSE, FaultKind.RESET_BEFORE, FaultKind.HANG_BEFORE)


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of one call; `code` is a Twirp code, `seconds` for those that take time."""

    kind: FaultKind
    code: str = "unavailable"
    seconds: float = 0.0
    message: str = "simulated fault"


ANY = "*"


@dataclass(slots=True)
class Faults:
    """Faults by script (the next calls of this method), for good, and by chance; the first that applies is taken."""

    seed: int = 0
    _script: dict[str, deque[Fault | None]] = field(default_factory=lambda: defaultdict(deque))
    _always: dict[str, Fault] = field(default_factory=dict)
    _share: float = 0.0
    _after_share: float = 0.5
    _methods: frozenset[str] = frozenset()
    _before: Sequence[Fault] = ()
    _after: Sequence[Fault] = ()
    _random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def script(self, method: str, *faults: Fault | None) -> None:
        """Let the next calls of `method` (or `"*"`) meet these faults one by one; None lets one call pass."""
        self._script[method].extend(faults)

    def always(self, method: str, fault: Fault | None) -> None:
        """Let every call of `method` (or `"*"`) meet `fault` from now on; None ends it."""
        if fault is None:
            self._always.pop(method, None)
        else:
            self._always[method] = fault

    def by_chance(
        self,
        share: float,
        *,
        after_share: float = 0.5,
        methods: Sequence[str] = (),
        hang_seconds: float = 0.0,
        seed: int | None = None,
    ) -> None:
        """Let this share of all calls fail, `after_share` of them after taking effect; kinds are drawn evenly.

        `methods` empty: all. Calls hang too when `hang_seconds` is given.
        """
        if seed is not None:
            self._random = random.Random(seed)
        self._share, self._after_share, self._methods = share, after_share, frozenset(methods)
        self._before = [
            Fault(FaultKind.REFUSE),
            Fault(FaultKind.REFUSE, code="internal"),
            Fault(FaultKind.RESET_BEFORE),
        ]
        self._after = [
            Fault(FaultKind.ERROR_AFTER),
            Fault(FaultKind.ERROR_AFTER, code="internal"),
            Fault(FaultKind.RESET_AFTER),
        ]
        if hang_seconds:
            self._before.append(Fault(FaultKind.HANG_BEFORE, seconds=hang_seconds))
            self._after.append(Fault(FaultKind.HANG_AFTER, seconds=hang_seconds))

    def clear(self) -> None:
        """Let every call pass from now on."""
        self._script.clear()
        self._always.clear()
        self._share = 0.0

    def next(self, method: str) -> Fault | None:
        """Return what happens to this call; None: nothing."""
        for name in (method, ANY):
            if self._script and self._script.get(name):
                return self._script[name].popleft()
        for name in (method, ANY):
            if name in self._always:
                return self._always[name]
        if not self._share or (self._methods and method not in self._methods):
            return None
        if self._random.random() >= self._share:
            return None
        after = self._random.random() < self._after_share
        return self._random.choice(self._after if after else self._before)
