"""Tells owners' browsers of orders that no terminal has received, by their push services.

Any number of processes may do so side by side: each browser is held while it is told. A push
service that is slow or dead holds up its own browsers only.
"""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Final

import structlog

from core_api.errors import UnavailableError
from core_api.postgres.pool import Pool
from core_api.push.due import Due, note_failed, note_told, settle, take_due
from core_api.push.messages import PushKeys, Told, headers, message
from core_api.push.metrics import PushMetrics
from core_api.push.registrations import read_standing
from core_api.push.rules import next_of
from core_api.webhooks.posting import Poster
from server_common.limits import PUSHES_AT_ONCE

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

_log: FilteringBoundLogger = structlog.get_logger(__name__)

EVERY_S: Final = 1.0
_COUNT_EVERY: Final = 5
"""Looks between two times that all subscriptions are settled and counted."""
_FAILING: Final = PUSHES_AT_ONCE // 2


class PushSender:
    """Sends pushes.

    Args:
        pool: the database.
        poster: sends requests.
        keys: of this installation.
        metrics: what is counted.
        clock: the time, in UTC, for the tokens.
        after_s: how long an order may be without a device that has it, in seconds.
    """

    def __init__(
        self,
        pool: Pool,
        poster: Poster,
        keys: PushKeys,
        metrics: PushMetrics,
        clock: Callable[[], datetime],
        after_s: float,
    ) -> None:
        self._pool = pool
        self._poster = poster
        self._keys = keys
        self._metrics = metrics
        self._clock = clock
        self._after_s = after_s
        self._under_way: dict[asyncio.Task[None], Due] = {}

    async def run(self) -> None:
        """Send for ever."""
        looks = 0
        try:
            while True:
                try:
                    if looks % _COUNT_EVERY == 0:
                        await settle(self._pool)
                        self._metrics.stands(await read_standing(self._pool))
                    await self.look()
                    self._metrics.looked()
                except UnavailableError as error:
                    _log.warning("pushes_not_taken", reason=str(error))
                looks += 1
                await asyncio.sleep(EVERY_S)
        finally:
            tasks = list(self._under_way)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def look(self) -> None:
        """Look once, and begin to tell whoever is to be told. Raises UnavailableError."""
        await self._take(failing=False, most=PUSHES_AT_ONCE)
        await self._take(failing=True, most=_FAILING)

    async def _take(self, *, failing: bool, most: int) -> None:
        of_kind = sum((due.tries > 0) == failing for due in self._under_way.values())
        room = min(most - of_kind, PUSHES_AT_ONCE - len(self._under_way))
        if room <= 0:
            return
        held = list(self._under_way.values())
        for due in await take_due(self._pool, held, room, self._after_s, failing=failing):
            task = asyncio.create_task(self._tell(due), name=f"push-{due.store_id}-{due.device}")
            self._under_way[task] = due
            task.add_done_callback(self._told)
        self._metrics.under_way.set(len(self._under_way))

    def _told(self, task: asyncio.Task[None]) -> None:
        self._under_way.pop(task)
        self._metrics.under_way.set(len(self._under_way))

    async def _tell(self, due: Due) -> None:
        try:
            await self._send(due)
        except UnavailableError as error:
            # Held until its time is over; then whoever has the database tells it, perhaps again.
            _log.warning("push_not_noted", store=due.store_id, reason=str(error))
        except Exception:
            # A bug of ours: it must not keep others from theirs.
            self._metrics.bugs.inc()
            _log.exception("push_failed", store=due.store_id, device=due.device)

    async def _send(self, due: Due) -> None:
        now = self._clock()
        told = Told(due.store_id, due.count, due.language)
        body = message(told, due.p256dh, due.auth, secrets.token_bytes)
        outcome = await self._poster.post(
            due.endpoint, body, headers(self._keys, due.endpoint, due.store_id, now), now
        )
        self._metrics.attempts.labels(outcome.kind).inc()
        if outcome.kind == "delivered":
            await note_told(self._pool, due)
            return
        after = next_of(due.tries, due.failing_s, outcome, random.uniform)
        await note_failed(self._pool, due, outcome.detail, after)
        if after.ending is not None:
            self._metrics.ended.labels(after.ending).inc()
            _log.warning(
                "push_ended",
                store=due.store_id,
                device=due.device,
                service=due.origin,
                why=after.ending,
                reason=outcome.detail,
            )
