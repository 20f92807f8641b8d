"""Feeds the ops page: one sampler per process, whatever the number of viewers.

It looks while somebody watches, and a little longer. Each viewer gets the newest figures, never a
queue of old ones, so a slow viewer costs no memory. What came before is told to a viewer in one
piece when it begins. The points of the day are kept by `day.py`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Final, Literal

from msgspec import Struct

from core_api.dashboard.alerts import Spells
from core_api.dashboard.figures import Figures, Round, RoundHistory
from core_api.dashboard.points import Point, point_of
from core_api.overload import Bound
from server_common.logs import get_logger
from server_common.supervision import is_being_cancelled

_log = get_logger()

PERIOD_S: Final = 2.0
LINGER_S: Final = 60.0
"""How long it goes on without viewers, in seconds: those whose stream ended come back at once."""
_MAX_POINTS: Final = 150

ReadRound = Callable[[], Awaitable[Round]]
Moments = Sequence[tuple[int, Sequence[str]]]
"""What was wrong at moments before, as `Spells` takes it."""


class Welcome(Struct, frozen=True):
    """The first event of a viewer's stream."""

    period_ms: int
    ends_in_ms: int
    nodes: int
    """How many processes are configured."""
    points: list[Point]
    """What the charts show of the time before, the oldest first."""
    grafana: str
    """Where Grafana is; empty: nobody has said."""


class Farewell(Struct, frozen=True):
    """The last event of a viewer's stream."""

    reason: Literal["timeout", "drain", "expired"]
    reconnect_after_ms: int


class Sampler:
    """Looks every `period_s` while there are viewers.

    Args:
        looking: gives the function that looks, for as long as somebody watches.
        past: gives what was wrong before.
        nodes: how many processes are configured.
        grafana: where Grafana is; empty: nobody has said.
        viewers: bounds who watches.
        period_s: how often.
        linger_s: how long to look on after the last viewer left.
    """

    def __init__(
        self,
        looking: Callable[[], AbstractAsyncContextManager[ReadRound]],
        past: Callable[[], Awaitable[Moments]],
        nodes: int,
        grafana: str,
        viewers: Bound,
        period_s: float = PERIOD_S,
        linger_s: float = LINGER_S,
    ) -> None:
        self._looking = looking
        self._past = past
        self._nodes = nodes
        self._grafana = grafana
        self._present = 0
        self._viewers = viewers
        self._period_s = period_s
        self._linger_s = linger_s
        self._rest_soon: asyncio.TimerHandle | None = None
        self._points: deque[Point] = deque(maxlen=_MAX_POINTS)
        self._newest: Figures | None = None
        self._task: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self._stopped = False

    @contextmanager
    def viewer(self) -> Iterator[None]:
        """Count a viewer for as long as the block runs.

        Raises:
            OverloadedError: there are as many as there may be.
        """
        with self._viewers.admit(), self._awake():
            yield

    async def now(self) -> Figures:
        """The figures of this moment, or of some seconds ago, without counting as a viewer.

        It waits for them for as long as it is let: give it a deadline.
        """
        with self._awake():
            while self._newest is None:
                await self._news.wait()
            return self._newest

    def stop(self) -> None:
        """Say goodbye to all viewers, as this process stops."""
        self._stopped = True
        self._wake()
        self._rest()

    async def watch(self, lifetime_s: float) -> AsyncIterator[Welcome | Figures | Farewell]:
        """What a viewer is sent: a welcome, figures as they come, a farewell."""
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + lifetime_s
        points = list(self._points)
        yield Welcome(
            round(self._period_s * 1000),
            round(lifetime_s * 1000),
            self._nodes,
            points,
            self._grafana,
        )
        shown: Figures | None = None
        while not self._stopped:
            if self._newest is not None and self._newest is not shown:
                shown = self._newest
                yield shown
                continue
            try:
                async with asyncio.timeout_at(ends_at):
                    await self._news.wait()
            except TimeoutError:
                yield Farewell("timeout", 100)
                return
        yield Farewell("drain", 1000)

    @contextmanager
    def _awake(self) -> Iterator[None]:
        """Look for as long as the block runs, and a little longer."""
        self._stay_awake()
        if self._task is None and not self._stopped:
            self._points.clear()
            self._newest = None
            self._task = asyncio.create_task(self._sample(), name="ops-sampler")
        self._present += 1
        try:
            yield
        finally:
            self._present -= 1
            if self._present == 0:
                loop = asyncio.get_running_loop()
                self._rest_soon = loop.call_later(self._linger_s, self._rest)

    async def _sample(self) -> None:
        history: RoundHistory | None = None
        while True:
            try:
                async with self._looking() as look:
                    if history is None:
                        history = RoundHistory(Spells(await self._past()))
                    await self._look_on(look, history)
            except (Exception, asyncio.CancelledError):
                if is_being_cancelled():
                    raise
                # The page shows old figures until the next round; Core serves on.
                _log.exception("ops_look_failed")
            await asyncio.sleep(self._period_s)

    async def _look_on(self, look: ReadRound, history: RoundHistory) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + self._period_s
            self._publish(history.figures(await look()))
            await asyncio.sleep(max(0.0, due - loop.time()))

    def _rest(self) -> None:
        self._stay_awake()
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def _stay_awake(self) -> None:
        if self._rest_soon is not None:
            self._rest_soon.cancel()
            self._rest_soon = None

    def _publish(self, figures: Figures) -> None:
        self._newest = figures
        self._points.append(point_of(figures))
        self._wake()

    def _wake(self) -> None:
        # Wakes those who wait now; those who come later wait for the next round.
        self._news.set()
        self._news = asyncio.Event()
