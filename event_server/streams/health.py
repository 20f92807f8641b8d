"""Whether this server can serve streams: warm, its watermark young enough, and not draining."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from event_server.replay.hub import Hub

HealthState = Literal["ok", "warming", "degraded", "draining"]


class Health:
    """The server's state, computed at each call.

    Degraded begins above `degraded_after_s` of lag and ends below half of it, so that a lag at the
    limit does not end streams repeatedly.
    """

    def __init__(self, hub: Hub, degraded_after_s: float) -> None:
        self._hub = hub
        self._limit_s = degraded_after_s
        self._degraded = False
        self.draining = False
        self.trouble: Callable[[], str | None] = lambda: None
        """Why new streams are refused although the state may be ok; None: they are not. Open
        streams go on: a part that has failed restarts, and the state shows when that matters."""

    def state(self, now: float) -> HealthState:
        """The state at `now` (monotonic seconds)."""
        if self.draining:
            return "draining"
        if not self._hub.warm:
            return "warming"
        lag = self._hub.lag(now)
        limit = self._limit_s / 2 if self._degraded else self._limit_s
        self._degraded = lag is None or lag > limit
        return "degraded" if self._degraded else "ok"
