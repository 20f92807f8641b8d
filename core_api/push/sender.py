"""Tells browsers what they are due, by their push services.

Owners' are told of orders that no terminal has received, guests' of orders that are ready. Any
number of processes may do so side by side: each browser is held while it is told. A push service
that is slow or dead holds up its own browsers only.
"""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final, Protocol

from msgspec import Struct

from core_api.errors import UnavailableError
from core_api.push.messages import PushKeys, headers, message
from core_api.push.metrics import PushMetrics, Whose
from core_api.push.rules import Next, next_of
from core_api.push.subscriptions import Standing
from core_api.sending_tasks import SendingTasks
from core_api.webhooks.posting import Poster
from server_common.limits import PUSHES_AT_ONCE
from server_common.logs import get_logger

_log = get_logger()

EVERY_S: Final = 1.0
_COUNT_EVERY: Final = 5
"""Looks between two times that all subscriptions are settled and counted."""


class Due(Protocol):
    """A browser that is to be told now; this process holds it."""

    @property
    def store_id(self) -> str:
        """The store that it is told of."""

    @property
    def device(self) -> str:
        """Its name."""

    @property
    def endpoint(self) -> str:
        """Where its push service takes messages for it."""

    @property
    def origin(self) -> str:
        """Of the endpoint: its push service."""

    @property
    def p256dh(self) -> str:
        """Its public key."""

    @property
    def auth(self) -> str:
        """Its secret."""

    @property
    def tries(self) -> int:
        """How many attempts have failed since the last that succeeded."""

    @property
    def failing_s(self) -> float:
        """For how long."""

    @property
    def told(self) -> Struct:
        """What it is told."""

    @property
    def topic(self) -> str:
        """What a later message stands in the place of."""


class Subscribers(Protocol):
    """Those who are told of one kind of thing. Each method may raise UnavailableError."""

    async def take(self, held: Sequence[Any], most: int, *, failing: bool) -> Sequence[Any]:
        """At most so many that are due, each a `Due`, beside those that it holds already."""

    async def note_told(self, due: Any) -> None:
        """Its push service has taken the message."""

    async def note_failed(self, due: Any, failure: str, after: Next) -> None:
        """An attempt has failed, with what follows."""

    async def settle(self) -> None:
        """Let nothing be left of what was to be told, and need not be any more."""

    async def standing(self) -> Standing:
        """How all of them stand."""


class PushSender:
    """Sends pushes to one kind of subscribers, with connections that no other kind waits for.

    Args:
        whose: their kind.
        subscribers: who is to be told.
        poster: sends requests.
        keys: of this installation.
        metrics: what is counted.
        clock: the time, in UTC, for the tokens.
    """

    def __init__(
        self,
        whose: Whose,
        subscribers: Subscribers,
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
        self._tasks: SendingTasks[Due] = SendingTasks(
            PUSHES_AT_ONCE, metrics.under_way, lambda: None
        )

    async def run(self) -> None:
        """Send for ever."""
        looks = 0
        try:
            while True:
                try:
                    if looks % _COUNT_EVERY == 0:
                        await self._subscribers.settle()
                        self._metrics.stands(self._whose, await self._subscribers.standing())
                    await self.look()
                    self._metrics.looked(self._whose)
                except UnavailableError as error:
                    _log.warning("pushes_not_taken", reason=str(error))
                looks += 1
                await asyncio.sleep(EVERY_S)
        finally:
            await self._tasks.cancel()

    async def look(self) -> None:
        """Look once, and begin to tell whoever is to be told. Raises UnavailableError."""
        await self._tasks.fill(self._take, self._tell)

    async def _take(self, most: int, failing: bool) -> Sequence[Due]:
        return await self._subscribers.take(self._tasks.held, most, failing=failing)

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
        body = message(due.told, due.p256dh, due.auth, secrets.token_bytes)
        outcome = await self._poster.post(
            due.endpoint, body, headers(self._keys, due.endpoint, due.topic, now), now
        )
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
