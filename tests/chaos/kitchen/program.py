"""A program that follows the kitchen's store over MQTT, and the events that it has received."""

from __future__ import annotations

import asyncio

from client_sdk import OrderEvent, Reset
from client_sdk.mqtt import BufferedOrderClient, MqttConnection
from server_common.mqtt.broker import Broker
from tests.chaos.final_sync import to_come
from tests.chaos.proof import Fact, Ledger, Verdict, judge


class Program:
    """The program, which records what it receives.

    Args:
        core_url: Core's address.
        token: the access token of an owner of the store.
        channel: the store's channel.
        broker: the broker, with the credentials of a device that may follow orders.
    """

    def __init__(self, core_url: str, token: str, channel: str, broker: Broker) -> None:
        self._core_url, self._token, self._channel = core_url, token, channel
        self._broker = broker
        self._base = 0
        self._facts: list[Fact] = []
        self._resets: list[str] = []
        self._task: asyncio.Task[None] | None = None
        self.started = asyncio.Event()

    @property
    def at(self) -> int:
        """The newest seq that it has received."""
        return self._facts[-1].seq if self._facts else self._base

    @property
    def count(self) -> int:
        """How many events it has received in this scenario."""
        return len(self._facts)

    def start(self) -> None:
        """Follow until stopped."""
        self._task = asyncio.create_task(self._follow(), name="program over MQTT")

    async def stop(self) -> None:
        """Stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def turn_page(self) -> None:
        """Begin a new record, where the last one ends."""
        self._base, self._facts, self._resets = self.at, [], []

    async def judge(self, ledger: Ledger) -> Verdict:
        """Compare what it received in this scenario with the log, which must not change now."""
        log = await ledger.log({self._channel: self._base})
        late = await to_come(self._core_url, self._token, self._channel, self.at)
        verdict = judge("the program over MQTT", log[self._channel], self._facts, late)
        if self._resets:
            verdict.add(Verdict(lost=1, notes=[f"the program over MQTT: reset {self._resets}"]))
        if self._task is not None and self._task.done():
            ended = self._task.exception()
            verdict.add(Verdict(lost=1, notes=[f"the program over MQTT: ended by {ended!r}"]))
        return verdict

    async def _follow(self) -> None:
        broker = self._broker
        async with (
            MqttConnection(
                broker.host, broker.port, user=broker.user, password=broker.password, tls=False
            ) as connection,
            BufferedOrderClient(self._core_url, self._token, [self._channel], connection) as client,
        ):
            async for change in client.events():
                if isinstance(change, OrderEvent):
                    self._facts.append(Fact(change.seq, change.order_id, change.order_version))
                else:
                    self._restart(change)

    def _restart(self, reset: Reset) -> None:
        if reset.reason == "first_sync":
            self._base, self._facts = reset.head, []
            self.started.set()
        else:
            self._resets.append(reset.reason)
