"""Sends the events of stores to the URLs that subscribe to them: in order for each store.

A lane is one store of one subscription. It is leased for a while, and its events are sent one after
the other; its place in the log moves after each answer. So after a crash an event may be sent
again, but is never lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from core_api.errors import UnavailableError
from core_api.postgres.pool import Pool
from core_api.sending_tasks import SendingTasks
from core_api.webhooks.lanes import (
    HeldLane,
    end_webhook,
    hurry_lanes,
    is_of_its_epoch,
    may_set_aside,
    move_lane,
    note_failure,
    read_page,
    release_lane,
    set_aside,
)
from core_api.webhooks.messages import LaneStep, LogPage, WebhookMessage, steps_of
from core_api.webhooks.metrics import WebhookMetrics
from core_api.webhooks.posting import Poster
from core_api.webhooks.retries import DeliveryOutcome, after_failure, asks_for_the_next
from core_api.webhooks.signing import WebhookKeys, signed_headers
from core_api.webhooks.taking import Taker
from server_common.errors import SettingsError
from server_common.limits import WEBHOOKS_AT_ONCE
from server_common.logs import get_logger

_log = get_logger()

EVERY_S: Final = 0.5
"""The longest wait of an event without a hint, in seconds."""
DRAIN_S: Final = 12.0
"""Longer than an attempt takes."""
VISIT_S: Final = 10.0
"""A lane that takes longer is released, so that a slow receiver does not keep a slot."""
_AT_ONCE_S: Final = 0.02
"""Events that come within so many seconds are processed together."""
_REST: Final = 9.0
"""Under load it spends a tenth of the time looking for events, however many lanes there are."""
_PAGES: Final = 5
"""A lane is leased again after so many events, to notice a new secret or a disabled webhook."""
_MOVED: Final = (
    "the database was restored, or a standby was promoted, and no relay has checked it yet: "
    "start yabam relay, or run yabam db restore-check"
)


class WebhookSender:
    """Sends webhooks; any number of processes may do so side by side.

    Args:
        pool: the database.
        poster: sends requests.
        keys: derives secrets.
        metrics: what is counted.
        clock: the time, in UTC, for signatures.
    """

    def __init__(
        self,
        pool: Pool,
        poster: Poster,
        keys: WebhookKeys,
        metrics: WebhookMetrics,
        clock: Callable[[], datetime],
    ) -> None:
        self._pool = pool
        self._taker = Taker(pool, time.monotonic)
        self._poster = poster
        self._keys = keys
        self._metrics = metrics
        self._clock = clock
        self._news = asyncio.Event()
        self._tasks: SendingTasks[HeldLane] = SendingTasks(
            WEBHOOKS_AT_ONCE, metrics.under_way, self._failed, self._news.set
        )
        self._stopping = False
        self._turning = asyncio.Lock()
        self.turned_at = clock()
        """When it last looked for events."""
        self.trouble: str | None = "nothing has been read yet"
        """Why it cannot work now; None: it can."""

    def wake(self) -> None:
        """Look for news now."""
        self._news.set()

    async def run(self) -> None:
        """Send for ever."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                began = loop.time()
                async with self._turning:
                    await self._turn()
                took = loop.time() - began
                try:
                    async with asyncio.timeout(EVERY_S):
                        await self._news.wait()
                        await asyncio.sleep(max(_AT_ONCE_S, _REST * took))
                except TimeoutError:
                    pass
                self._news.clear()
        finally:
            await self._tasks.cancel()

    async def drain(self) -> None:
        """Begin nothing new, and let requests in progress end, for a while."""
        self._stopping = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                # Lanes that the last turn is just leasing are still started.
                async with self._turning:
                    pass
                await self._tasks.wait()

    async def _turn(self) -> None:
        self.turned_at = self._clock()
        try:
            await self._tasks.fill(self._take, self._serve)
            self.trouble = None if await is_of_its_epoch(self._pool) else _MOVED
            self._metrics.unreadable.set(self._taker.unreadable)
            self._metrics.looked()
        except UnavailableError as error:
            self.trouble = str(error)
            _log.warning("webhooks_not_taken", reason=str(error))

    async def _take(self, limit: int, failing: bool) -> Sequence[HeldLane]:
        if self._stopping:
            return []
        busy = Counter(lane.webhook_id for lane in self._tasks.held)
        return await self._taker.take(busy, limit, failing=failing)

    async def _serve(self, lane: HeldLane) -> None:
        await _Visit(self._pool, self._poster, self._keys, self._metrics, self._clock, lane).go(
            lambda: self._stopping
        )

    def _failed(self, lane: HeldLane, error: BaseException) -> None:
        if isinstance(error, UnavailableError):
            # Its lease expires; then a process that reaches the database goes on with it.
            _log.warning("webhook_lane_skipped", webhook=lane.webhook_id, reason=str(error))
            return
        # A bug of ours: it must not stop other lanes, and must not be retried at once.
        self._metrics.bugs.inc()
        _log.error(
            "webhook_lane_failed", webhook=lane.webhook_id, store=lane.store_id, exc_info=error
        )


class _Visit:
    """One lane, for as long as it is held."""

    def __init__(
        self,
        pool: Pool,
        poster: Poster,
        keys: WebhookKeys,
        metrics: WebhookMetrics,
        clock: Callable[[], datetime],
        lane: HeldLane,
    ) -> None:
        self._pool = pool
        self._poster = poster
        self._keys = keys
        self._metrics = metrics
        self._clock = clock
        self._lane = lane
        self._epoch = lane.epoch
        self._seq = lane.seq
        self._has_failed = lane.tries > 0
        self._old_secrets = _old_secrets(keys, lane)

    async def go(self, stopping: Callable[[], bool]) -> None:
        """Send events as long as the receiver accepts them. Raises UnavailableError."""
        loop = asyncio.get_running_loop()
        ends = loop.time() + VISIT_S

        def is_over() -> bool:
            return stopping() or loop.time() >= ends

        for _ in range(_PAGES):
            page = await read_page(self._pool, self._lane, self._seq)
            steps = steps_of(self._lane.channel, self._epoch, self._seq, page)
            if not steps:
                break
            if not await self._walk(steps, page, is_over):
                return
            if is_over():
                break
        await release_lane(self._pool, self._lane)

    async def _walk(
        self, steps: list[LaneStep], page: LogPage, is_over: Callable[[], bool]
    ) -> bool:
        """Take the steps of a page. False: the lane is no longer held."""
        for step, behind in zip(steps, [*steps[1:], None], strict=True):
            if step.message is None:
                # Of skipped events only the last place is stored.
                is_last = behind is None or behind.message is not None
                if is_last and not await self._move(step.seq, page, has_delivered=False):
                    return False
                continue
            outcome = await self._send(step.message)
            if outcome.kind != "delivered":
                return await self._set_aside(step, steps, outcome, page) or await self._failed(
                    outcome
                )
            if not await self._move(step.seq, page, has_delivered=True):
                return False
            if is_over():
                break
        return True

    async def _failed(self, outcome: DeliveryOutcome) -> bool:
        """Store a failure; the lane is no longer held."""
        lane = self._lane
        if outcome.kind == "gone":
            _log.warning("webhook_ended", webhook=lane.webhook_id, reason=outcome.detail)
            await end_webhook(self._pool, lane.webhook_id)
        # A delivery on this visit has reset the count.
        tries, failing_s = (lane.tries, lane.failing_s) if self._has_failed else (0, 0.0)
        after = after_failure(tries, failing_s, outcome, random.uniform)
        await note_failure(self._pool, lane, outcome.detail, after)
        if after.is_parked:
            _log.error(
                "webhook_parked",
                webhook=lane.webhook_id,
                store=lane.store_id,
                reason=outcome.detail,
            )
        return False

    async def _set_aside(
        self, step: LaneStep, steps: list[LaneStep], outcome: DeliveryOutcome, page: LogPage
    ) -> bool:
        """Set an event aside if the receiver accepts the next one. False: it stays."""
        lane = self._lane
        if not self._has_failed or not asks_for_the_next(lane.failing_s, outcome):
            return False
        behind = await self._behind(step.seq, steps, page)
        if behind is None or behind.message is None or not await may_set_aside(self._pool, lane):
            return False
        if (await self._send(behind.message)).kind != "delivered":
            return False
        if not await set_aside(self._pool, lane, page.epoch, step.seq, outcome.detail, behind.seq):
            return False
        self._metrics.set_aside.inc()
        _log.error(
            "webhook_event_set_aside",
            webhook=lane.webhook_id,
            event_id=f"{lane.channel}@{step.seq}",
            reason=outcome.detail,
        )
        await self._moved(behind.seq, page, has_delivered=True)
        return True

    async def _behind(self, seq: int, steps: list[LaneStep], page: LogPage) -> LaneStep | None:
        """The next step with something to send, within a few pages."""
        for _ in range(_PAGES):
            found = next((step for step in steps if step.seq > seq and step.message), None)
            if found is not None or not steps:
                return found
            end = steps[-1].seq
            steps = steps_of(
                self._lane.channel, page.epoch, end, await read_page(self._pool, self._lane, end)
            )
        return None

    async def _send(self, message: WebhookMessage) -> DeliveryOutcome:
        lane, now = self._lane, self._clock()
        try:
            secret = self._keys.secret(lane.webhook_id, lane.generation, lane.kid)
        except SettingsError as error:
            _log.error("webhook_not_signed", webhook=lane.webhook_id, reason=str(error))
            outcome = DeliveryOutcome("unreachable", "its secret cannot be made: rotate it")
        else:
            headers = signed_headers(message, now, [secret, *self._old_secrets])
            outcome = await self._poster.post(lane.url, message.body.encode(), headers, now)
        self._metrics.attempts.labels(outcome.kind).inc()
        return outcome

    async def _move(self, seq: int, page: LogPage, *, has_delivered: bool) -> bool:
        """Store the new place. False: the lane is no longer ours."""
        moved = await move_lane(
            self._pool, self._lane, seq, page.epoch, has_delivered=has_delivered
        )
        if moved:
            await self._moved(seq, page, has_delivered=has_delivered)
        return moved

    async def _moved(self, seq: int, page: LogPage, *, has_delivered: bool) -> None:
        self._seq, self._epoch = seq, page.epoch
        if has_delivered and self._has_failed:
            await hurry_lanes(self._pool, self._lane.webhook_id)
        if has_delivered:
            self._has_failed = False


def _old_secrets(keys: WebhookKeys, lane: HeldLane) -> list[str]:
    """Older secrets that still sign. One whose key was removed is left out, so that the newest
    secret's messages are not delayed."""
    secrets = []
    for generation, kid in zip(lane.old_generations, lane.old_kids, strict=True):
        try:
            secrets.append(keys.secret(lane.webhook_id, generation, kid))
        except SettingsError as error:
            _log.warning("webhook_old_secret_ended", webhook=lane.webhook_id, reason=str(error))
    return secrets
