"""Sends browsers the notifications that are due, by their push services.

Owners are notified of orders that no terminal has received, guests of orders that are ready. Any
number of processes may do so side by side: each browser is leased while its message is sent. A slow
or dead push service delays only its own browsers.
"""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, Generic, TypeVar

from core_api.errors import UnavailableError
from core_api.push.browsers import DueBrowser
from core_api.push.messages import PushKeys, headers, message
from core_api.push.metrics import PushMetrics, Whose
from core_api.push.retries import Next, next_of
from core_api.push.subscribers import Subscribers
from core_api.sending_tasks import SendingTasks
from core_api.webhooks.posting import Poster
from core_api.webhooks.retries import DeliveryOutcome
from server_common.limits import PUSHES_AT_ONCE
from server_common.logs import get_logger

_log = get_logger()

D = TypeVar("D", bound=DueBrowser)

EVERY_S: Final = 1.0
_COUNT_EVERY: Final = 5
"""The number of looks from one settling and counting of all subscriptions to the next."""


class PushSender(Generic[D]):
    """Sends pushes to one kind of subscribers, with connections that no other kind waits for.

    Args:
        whose: the kind of subscribers.
        subscribers: finds them, and stores results.
        poster: sends requests.
        keys: of this installation.
        metrics: what is counted.
        clock: the time, in UTC, for the tokens.
    """

    def __init__(
        self,
        whose: Whose,
        subscribers: Subscribers[D],
        poster: Poster,
        keys: PushKeys,
        metrics: PushMetrics,
        clock: Callable[[], datetime],
    ) -> None:
        self._whose: Whose = whose
        self._subscribers = subscribers
        self._poster = poster
        self._keys = keys
        self._metrics = metrics
        self._clock = clock
        self._tasks: SendingTasks[D] = SendingTasks(PUSHES_AT_ONCE, metrics.under_way, self._failed)

    async def run(self) -> None:
        """Send until cancelled."""
        looks = 0
        try:
            while True:
                try:
                    if looks % _COUNT_EVERY == 0:
                        await self._subscribers.settle()
                        self._metrics.stands(self._whose, await self._subscribers.standing())
                    await self.look()
                    left_out = self._metrics.unreadable.labels(self._whose)
                    left_out.set(self._subscribers.unreadable)
                    self._metrics.looked(self._whose)
                except UnavailableError as error:
                    _log.warning("pushes_not_taken", reason=str(error))
                looks += 1
                await asyncio.sleep(EVERY_S)
        finally:
            await self._tasks.cancel()

    async def look(self) -> None:
        """Look once, and start sending to the browsers that are due. Raises UnavailableError."""
        await self._tasks.fill(self._take, self._send)

    async def _take(self, limit: int, failing: bool) -> Sequence[D]:
        return await self._subscribers.take(self._tasks.held, limit, failing=failing)

    def _failed(self, due: D, error: BaseException) -> None:
        if isinstance(error, UnavailableError):
            # Its lease expires; then another process sends to it, perhaps again.
            _log.warning("push_not_recorded", store=due.store_id, reason=str(error))
            return
        # A bug of ours: it must not stop the messages of others.
        self._metrics.bugs.inc()
        _log.error("push_failed", store=due.store_id, device=due.device, exc_info=error)

    async def _post(self, due: D, now: datetime) -> DeliveryOutcome:
        body = message(due.told, due.p256dh, due.auth, secrets.token_bytes)
        head = headers(self._keys, due.endpoint, due.topic, now)
        return await self._poster.post(due.endpoint, body, head, now)

    async def _send(self, due: D) -> None:
        try:
            outcome = await self._post(due, self._clock())
        except Exception:
            # Its key or its endpoint is damaged, or we have a bug: it is tried again less and less
            # often, and never deleted for it.
            failed = DeliveryOutcome("unreachable", "no message could be made for it")
            again = next_of(due.tries, due.failing_s, failed, random.uniform)
            await self._subscribers.note_failed(due, failed.detail, Next(again.wait_s, None))
            raise
        self._metrics.attempts.labels(outcome.kind).inc()
        if outcome.kind == "delivered":
            await self._subscribers.note_told(due)
            return
        after = next_of(due.tries, due.failing_s, outcome, random.uniform)
        await self._subscribers.note_failed(due, outcome.detail, after)
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
