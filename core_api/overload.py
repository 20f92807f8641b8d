"""Overload protection: bounds, fair shares, and the pace of polling clients. Pure.

What cannot be served soon is refused early and cheaply, with a Retry-After (RFC 9110, 10.2.3). Each
kind of work has a bound of its own, so that a storm of one never starves the others.
"""

from __future__ import annotations

import math
from array import array
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from core_api.errors import OverloadedError, RateLimitedError

_CALM: Final = 0.25
"""Up to this share of the bound, polling clients keep their usual pace."""
_SLOWEST: Final = 10
"""At the bound, they poll this many times more slowly."""
_REMEMBERED_S: Final = 5.0
"""How long the load must last before it slows polling clients down, and for how long it does."""
_MAX_SUBJECTS: Final = 50_000
_BLIND_S: Final = (1.0, 4.0)
"""Between these the refused come again where nobody knows how fast work is finished."""
_ENOUGH: Final = 50
"""Fewer finished requests say nothing about how fast work is finished."""
_RECENT_S: Final = 1.0
_LONGEST_S: Final = 10.0
"""No measured rate keeps anybody away for longer: it may be a moment's."""


class Turns:
    """When the refused should come again: one after the other, as fast as work is finished.

    Spread over a fixed time, a few would wait for seconds although nothing is left to do, and very
    many would come too soon and be refused again.

    Args:
        now: seconds that only go forward.
        uniform: a random number evenly between two.
    """

    def __init__(self, now: Callable[[], float], uniform: Callable[[float, float], float]) -> None:
        self.finished = 0
        """Requests since the rush began; who finishes one counts it."""
        self._now = now
        self._uniform = uniform
        self._since = now()
        self._taken_until = 0.0

    def begin(self) -> None:
        """A rush begins: what was finished before it was as much as came, not as much as can be."""
        self.finished, self._since = 0, self._now()

    def wait_s(self, ahead: int) -> float:
        """How long one who is refused should stay away.

        Args:
            ahead: how many requests are under way.
        """
        now = self._now()
        took = now - self._since
        if self.finished < _ENOUGH or took <= 0.0:
            return self._uniform(*_BLIND_S)
        each_s = took / self.finished
        if took > 2 * _RECENT_S:
            # What was finished long ago counts less and less.
            self.finished //= 2
            self._since = now - took / 2
        self._taken_until = max(self._taken_until, now + ahead * each_s) + each_s
        if self._taken_until > now + _LONGEST_S:
            # The next round begins: whoever comes again by then finds a place or another turn.
            self._taken_until = now + ahead * each_s
            return _LONGEST_S
        return self._taken_until - now


class Bound:
    """How many requests of one kind may be under way at once.

    Args:
        limit: the bound.
        what: the kind, for the message.
        uniform: a random number evenly between two, so that the refused come back spread.
        now: seconds that only go forward; None: how fast work is finished is not measured.
    """

    def __init__(
        self,
        limit: int,
        what: str,
        uniform: Callable[[float, float], float],
        now: Callable[[], float] | None = None,
    ) -> None:
        self._limit = limit
        self._what = what
        self._turns = Turns(now or (lambda: 0.0), uniform)
        self._rush_from = max(1, round(limit * _CALM))
        self.under_way = 0
        self.refused = 0

    def enter(self) -> None:
        """Count a request as under way; `leave` must follow.

        Raises:
            OverloadedError: the bound is reached.
        """
        if self.under_way >= self._limit:
            self.refused += 1
            raise OverloadedError(
                f"too many {self._what} are under way: try again",
                self._turns.wait_s(self.under_way),
            )
        self.under_way += 1
        if self.under_way == self._rush_from:
            self._turns.begin()

    def leave(self) -> None:
        """Count a request as finished."""
        self.under_way -= 1
        self._turns.finished += 1

    @contextmanager
    def admit(self) -> Iterator[None]:
        """Count a request as under way for as long as the block runs.

        Raises:
            OverloadedError: the bound is reached.
        """
        self.enter()
        try:
            yield
        finally:
            self.leave()

    @property
    def share(self) -> float:
        """How much of the bound is taken, 0 to 1."""
        return self.under_way / self._limit


def poll_after_ms(usual_ms: int, share: float) -> int:
    """How long a polling client should wait: the usual time while it is calm, longer under load."""
    if share <= _CALM:
        return usual_ms
    return round(usual_ms * (1 + (_SLOWEST - 1) * (share - _CALM) / (1 - _CALM)))


class PollingPace:
    """The pace of polling clients, by how much of the bound was taken of late.

    A storm fills the bound for a moment, and every client is answered in that moment. If all were
    told then to wait ten times as long, they would hear nothing long after the storm has passed.

    Args:
        usual_ms: how long a client waits while it is calm.
        now: seconds that only go forward.
    """

    def __init__(self, usual_ms: int, now: Callable[[], float]) -> None:
        self._usual_ms = usual_ms
        self._now = now
        self._level = 0.0
        self._share = 0.0
        self._since = now()

    def see(self, share: float) -> None:
        """Note that from now on this `share` of the bound is taken."""
        now = self._now()
        weight = 1 - math.exp((self._since - now) / _REMEMBERED_S)
        self._level += (self._share - self._level) * weight
        self._share, self._since = share, now

    def after_ms(self, share: float) -> int:
        """What to tell a client at this moment, in which `share` of the bound is taken."""
        self.see(share)
        return poll_after_ms(self._usual_ms, self._level)


STRANGERS_PER_S: Final = 20.0
"""Tablets that are let in by a code, all together: a chain's new tills on their first morning."""
STRANGERS_BURST: Final = 60


class RateLimit:
    """A token bucket per subject: `burst` requests or bytes at once, `per_s` on average.

    Args:
        per_s: how many a second.
        burst: the bucket's size.
        now: seconds that only go forward.
        unit: what is counted, for the message.
    """

    def __init__(
        self, per_s: float, burst: int, now: Callable[[], float], unit: str = "requests"
    ) -> None:
        self._per_s = per_s
        self._burst = float(burst)
        self._now = now
        self._unit = unit
        # Numbers in arrays: a float made in the midst of a storm, and kept, would keep all the
        # memory around it from being given back.
        self._slots: OrderedDict[str, int] = OrderedDict()
        self._levels = array("d")
        self._since = array("d")

    def take(self, subject: str) -> None:
        """Count one for the subject.

        Raises:
            RateLimitedError: its bucket is empty; the error says when to try again.
        """
        now = self._now()
        slot = self._slot_of(subject, now)
        level = min(self._burst, self._levels[slot] + (now - self._since[slot]) * self._per_s)
        allowed = level >= 1.0
        self._levels[slot] = level - 1.0 if allowed else level
        self._since[slot] = now
        if not allowed:
            raise RateLimitedError(
                f"{subject[:80]} sends more than {self._per_s:.10g} {self._unit} a second: "
                "slow down",
                (1.0 - level) / self._per_s,
            )

    def charge(self, subject: str, more: int) -> None:
        """Charge `more` for what was let in; what comes later waits until that is made up."""
        if more > 0:
            self._levels[self._slot_of(subject, self._now())] -= more

    def _slot_of(self, subject: str, now: float) -> int:
        slot = self._slots.get(subject)
        if slot is not None:
            self._slots.move_to_end(subject)
            return slot
        if len(self._slots) < _MAX_SUBJECTS:
            slot = len(self._levels)
            self._levels.append(self._burst)
            self._since.append(now)
        else:
            # The bucket that was not used for longest is full again by now, or nearly.
            _, slot = self._slots.popitem(last=False)
            self._levels[slot], self._since[slot] = self._burst, now
        self._slots[subject] = slot
        return slot
