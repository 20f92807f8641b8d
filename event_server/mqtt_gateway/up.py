"""From the broker to Kafka: the messages of devices.

A message is acknowledged to the broker once Kafka has it, or its dead letter. Nothing depends on
the broker's storage: a device sends its results and events again until Core has acknowledged them.
If storing one fails, the session ends with that error: the broker waits for the acknowledgement of
each, so messages that were merely dropped would use up its window, until it delivers none.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from event_server.mqtt_gateway.rules.backlog import Backlog
from event_server.mqtt_gateway.rules.incoming import Allowance, refusal_of, take
from event_server.mqtt_gateway.rules.publications import accepted_of
from event_server.mqtt_gateway.sink import Sink
from event_server.mqtt_gateway.together import run_together
from server_common.backoff import Backoff
from server_common.devices.messages import dead_letter, encode
from server_common.errors import DeviceMessageError
from server_common.logs import get_logger
from server_common.mqtt.broker import Broker, MqttError
from server_common.mqtt.connection import BrokerConnection, Incoming
from server_common.short_tasks import ShortTasks

if TYPE_CHECKING:
    from event_server.mqtt_gateway.metrics import GatewayMetrics

log = get_logger()

UNANSWERED: Final = 100
"""How many messages may be on their way to Kafka; the broker delays further ones."""
_BACK_OFF_S: Final = (0.2, 5.0)


@dataclass(frozen=True, slots=True)
class UpSettings:
    """Where to listen, and where to store."""

    task: str
    """Its name in the metrics: `up` or `telemetry`."""
    broker: Broker
    client_id: str
    filters: Sequence[str]
    qos: int
    inbound: str
    """The topic for Core."""
    dead_letters: str
    """The topic for what does not fit."""
    per_s: float
    """How many messages a second one device may send in the long run."""
    burst: int
    """How many at once."""


class Up:
    """Takes the messages of devices until cancelled.

    Args:
        settings: the topic filters and the Kafka topics.
        sink: stores records.
        metrics: where the numbers go.
        clock: seconds that only go forward.
        now_ms: milliseconds since the Unix epoch.
    """

    def __init__(
        self,
        settings: UpSettings,
        sink: Sink,
        metrics: GatewayMetrics,
        clock: Callable[[], float],
        now_ms: Callable[[], int],
    ) -> None:
        self._settings = settings
        self._sink = sink
        self._metrics = metrics
        self._clock = clock
        self._now_ms = now_ms
        self._allowance = Allowance(settings.per_s, settings.burst)
        self.trouble: str | None = "the gateway has not begun"
        """Why no messages are taken now; None: they are."""

    async def run(self) -> None:
        """Take messages, in one session at the broker after another."""
        backoff = Backoff(*_BACK_OFF_S, random.uniform)
        while True:
            began = self._clock()
            self._metrics.sessions.labels(self._settings.task).inc()
            try:
                await self._session()
            except (MqttError, OSError, TimeoutError) as error:
                self.trouble = str(error) or repr(error)
                log.warning("gateway_up_restarts", task=self._settings.task, reason=self.trouble)
            if self._clock() - began > 2 * _BACK_OFF_S[1]:
                backoff.forget()
            await asyncio.sleep(backoff.failed())

    async def _session(self) -> None:
        waiting = Backlog[Incoming]()
        news = asyncio.Event()

        def received(message: Incoming) -> None:
            if not self._allowance.admit(message.topic, self._clock()):
                self._metrics.flooded.inc()
                connection.acknowledge(message)
                return
            for dropped in waiting.put(message):
                self._metrics.flooded.inc()
                connection.acknowledge(dropped)
            news.set()

        settings = self._settings
        connection = BrokerConnection(
            settings.broker, settings.client_id, received, unanswered=UNANSWERED
        )
        storing = ShortTasks()
        try:
            await connection.open()
            await connection.subscribe(settings.filters, settings.qos)
            self.trouble = None
            await run_together(
                self._work(connection, waiting, news, storing),
                storing.until_one_fails(),
                connection.until_lost(),
            )
        finally:
            await storing.cancel()
            await connection.close()

    async def _work(
        self,
        connection: BrokerConnection,
        waiting: Backlog[Incoming],
        news: asyncio.Event,
        storing: ShortTasks,
    ) -> None:
        while True:
            if not waiting:
                news.clear()
                await news.wait()
            while len(storing) >= UNANSWERED:
                await storing.until_one_ends()
            finish = await self._begin(connection, waiting.take())
            if finish is not None:
                storing.start(finish)

    async def _begin(
        self, connection: BrokerConnection, message: Incoming
    ) -> Coroutine[Any, Any, None] | None:
        """Pass a message to Kafka, in order; what is returned does the rest."""
        try:
            inbound = take(message.topic, message.payload, self._now_ms())
        except DeviceMessageError as error:
            return await self._begin_dead_letter(connection, message, error)
        if inbound is None:
            connection.acknowledge(message)
            return None
        stored = await self._sink.begin(self._settings.inbound, inbound.key, encode(inbound))

        async def finish() -> None:
            await stored
            connection.acknowledge(message)
            self._metrics.taken.labels(inbound.kind).inc()

        return finish()

    async def _begin_dead_letter(
        self, connection: BrokerConnection, message: Incoming, error: DeviceMessageError
    ) -> Coroutine[Any, Any, None]:
        letter = dead_letter(
            error.reason, str(error), message.topic, self._now_ms(), message.payload
        )
        key = message.topic.encode()
        stored = await self._sink.begin(self._settings.dead_letters, key, encode(letter))

        async def finish() -> None:
            await stored
            self._metrics.dead_letters.labels(error.reason).inc()
            log.info("device_message_refused", topic=message.topic, reason=str(error))
            connection.acknowledge(message)
            refusal = refusal_of(message.topic, message.payload, error.reason)
            if refusal is not None:
                # Its device must be told, or it would send the same for ever.
                told = accepted_of(refusal, "")
                connection.publish(told.topic, told.payload).add_done_callback(_looked_at)

        return finish()


def _looked_at(done: asyncio.Future[None]) -> None:
    """A lost acknowledgement is repeated when the device sends the message again."""
    if not done.cancelled():
        done.exception()
