"""Places orders over HTTP and through Kafka, and records what was acknowledged."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
import uuid
from collections.abc import Coroutine, Sequence
from typing import Any, Final

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from client_sdk import Item, Order, OrderProducer, RefusedError, UnreachableError
from core_api.kafka.batch_producer import abandon
from tests.chaos.proof import Ledger, Verdict, judge_writes

_ITEMS: Final = (Item("Bibimbap", 1, 9_500), Item("파전 Scallion pancake", 2, 11_000))
_STEPS: Final = ("accepted", "preparing", "ready", "served", "paid")
_WRITES_PER_ORDER: Final = 1 + len(_STEPS)
_MAX_UNDER_WAY: Final = 300
_BETWEEN_STEPS_S: Final = 0.4
_REST_WITHIN_S: Final = 90.0
_SEND_WITHIN_S: Final = 10.0
_AGAIN_AFTER_S: Final = 0.5
_LEAVE_WITHIN_S: Final = 2.0


class Load:
    """Places orders and takes them through their statuses.

    Args:
        core_url: Core's address.
        token: the access token of an owner of all stores.
        places: the (store, table) pairs for which orders are placed.
        writes_per_s: the rate of writes over HTTP.
        chance: the random numbers of the run.
        kafka: Kafka's address and the topic of commands; None: all orders are placed over HTTP.
    """

    def __init__(
        self,
        core_url: str,
        token: str,
        places: Sequence[tuple[str, str]],
        writes_per_s: float,
        chance: random.Random,
        kafka: tuple[str, str] | None,
    ) -> None:
        self._producer = OrderProducer(core_url, token, attempts=60)
        self._places = places
        self._orders_per_s = writes_per_s / _WRITES_PER_ORDER
        self._chance = chance
        self._kafka = kafka
        self._running = asyncio.Event()
        self._lives: set[asyncio.Task[None]] = set()
        self._writes: set[asyncio.Task[Order]] = set()
        self._placing: asyncio.Task[None] | None = None
        self._sending: asyncio.Task[None] | None = None
        self._sender: AIOKafkaProducer | None = None
        self._commanding = True
        self._sent = asyncio.Event()
        self._sent.set()
        self.by_http: dict[str, int] = {}
        """The newest version of each order that Core acknowledged, by the order's reference."""
        self.by_kafka: dict[str, int] = {}
        """The same for commands that Kafka acknowledged."""
        self.forgiving = False
        """Whether orders may be missing, as after a restore."""
        self.refused: list[str] = []
        """Steps that Core refused, although each is the next status."""
        self.patience_s = _REST_WITHIN_S
        """How long writers may need to finish, and commands to be applied."""

    def start(self, *, by_kafka: bool = True) -> None:
        """Place and change orders until paused."""
        self._running.set()
        self._commanding = by_kafka
        if self._placing is None:
            self._placing = asyncio.create_task(self._place_on())
            if self._kafka is not None:
                self._sending = asyncio.create_task(self._send_on())

    async def pause(self) -> bool:
        """Place no more orders, and wait until all are closed. Returns whether they are."""
        self._running.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.patience_s):
                await self._sent.wait()
                await asyncio.gather(*self._lives)
        return not self._lives and self._sent.is_set()

    async def stop(self) -> None:
        """Stop at once."""
        tasks = [*self._lives, *(t for t in (self._placing, self._sending) if t is not None)]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._producer.__aexit__(None, None, None)
        await self._drop_sender()

    async def ingested(self, ledger: Ledger) -> None:
        """Wait until all commands that Kafka acknowledged are applied.

        The wait ends also if no command was applied for `patience_s` seconds.
        """
        applied, deadline = -1, 0.0
        while applied < len(self.by_kafka):
            found = len(await ledger.by_reference(list(self.by_kafka)))
            if found > applied:
                applied, deadline = found, time.monotonic() + self.patience_s
            elif time.monotonic() > deadline:
                return
            await asyncio.sleep(0.2)

    async def judge(self, ledger: Ledger) -> Verdict:
        """Compare all acknowledged writes with the database, count refusals, and forget both."""
        verdict = Verdict()
        for acknowledged, what in ((self.by_http, "over HTTP"), (self.by_kafka, "through Kafka")):
            stored = await ledger.by_reference(list(acknowledged))
            verdict.add(judge_writes(acknowledged, stored, what))
            acknowledged.clear()
        if self.refused:
            note = f"{len(self.refused)} steps were refused: {self.refused[0]}"
            verdict.add(Verdict(lost=len(self.refused), notes=[note]))
            self.refused.clear()
        return verdict

    async def answered(self) -> None:
        """Wait until all requests that are under way are answered, or time is over.

        The answer of a server that has died may still be on its way.
        """
        if self._writes:
            await asyncio.wait(tuple(self._writes), timeout=self.patience_s)

    def forget(self) -> None:
        """Forget what was acknowledged so far, as it is not in a backup or a standby."""
        self.by_http.clear()
        self.by_kafka.clear()

    async def _place_on(self) -> None:
        while True:
            await self._running.wait()
            if len(self._lives) < _MAX_UNDER_WAY:
                life = asyncio.create_task(self._live(*self._chance.choice(self._places)))
                self._lives.add(life)
                life.add_done_callback(self._lives.discard)
            await asyncio.sleep(self._chance.uniform(0.5, 1.5) / self._orders_per_s)

    async def _live(self, store: str, table: str) -> None:
        reference = f"http-{uuid.uuid4()}"
        with contextlib.suppress(UnreachableError):
            try:
                placing = self._producer.place(
                    store, _ITEMS, currency="KRW", table_id=table, reference=reference
                )
                order = await self._written(placing)
                self.by_http[reference] = order.version
                for step in _STEPS:
                    await asyncio.sleep(self._chance.uniform(0.5, 1.5) * _BETWEEN_STEPS_S)
                    order = await self._written(self._producer.transition(order.id, step))
                    self.by_http[reference] = order.version
            except RefusedError as error:
                if self.forgiving:
                    self.by_http.pop(reference, None)
                else:
                    self.refused.append(str(error))

    async def _written(self, asking: Coroutine[Any, Any, Order]) -> Order:
        task = asyncio.create_task(asking)
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)
        return await task

    async def _send_on(self) -> None:
        while True:
            await self._running.wait()
            if not self._commanding:
                await asyncio.sleep(_AGAIN_AFTER_S)
                continue
            store, table = self._chance.choice(self._places)
            reference = f"kafka-{uuid.uuid4()}"
            command = {
                "command": "place",
                "idempotency_key": reference,
                "subject": "till",
                "body": {
                    "store_id": store,
                    "table_id": table,
                    "currency": "KRW",
                    "items": list(_ITEMS),
                    "reference": reference,
                },
            }
            self._sent.clear()
            sent = False
            while not sent:
                sent = await self._send(store, msgspec.json.encode(command))
                await asyncio.sleep(0 if sent else _AGAIN_AFTER_S)
            self.by_kafka[reference] = 1
            self._sent.set()
            await asyncio.sleep(1 / self._orders_per_s)

    async def _send(self, key: str, value: bytes) -> bool:
        assert self._kafka is not None
        bootstrap, topic = self._kafka
        try:
            async with asyncio.timeout(_SEND_WITHIN_S):
                if self._sender is None:
                    self._sender = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")
                    await self._sender.start()
                await self._sender.send_and_wait(topic, value, key=key.encode())
        except (KafkaError, OSError, TimeoutError):
            await self._drop_sender()
            return False
        return True

    async def _drop_sender(self) -> None:
        sender, self._sender = self._sender, None
        if sender is not None:
            await abandon(sender, _LEAVE_WITHIN_S)
