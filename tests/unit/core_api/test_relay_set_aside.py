"""An event that Kafka will never take is set aside so that somebody sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from core_api.kafka.messages import PublishResult
from core_api.relay.cycle import OutboxReading, OutboxRow
from core_api.relay.metrics import RelayMetrics
from core_api.relay.relay import Relay
from server_common.limits import EVENT_RECORD_BYTES
from tests.unit.core_api.test_relay import Answers, Nothing, OneShard, Parts, Unchanged


class OneTooLarge(OneShard):
    """Its row is larger than any record of Kafka."""

    async def read(self, fences: Mapping[int, int], rows_per_shard: int) -> OutboxReading | None:
        line = b"x" * (2 * EVENT_RECORD_BYTES)
        row = OutboxRow(1, "12", "order.placed", "now", ("store:12@1",), (line,))
        return OutboxReading("E1", 1000.0, 0.0, {0: [row]})

    async def set_aside(
        self, fences: Mapping[int, int], reasons: Mapping[int, str], epoch: str
    ) -> int:
        assert self.relay is not None
        self.relay.stop()
        return len(reasons)


class Takes(Nothing):
    """A Kafka that takes all that it is sent."""

    async def send(self, parts: Parts) -> Answers:
        answers: Answers = {}
        for shard, messages in parts.items():
            answers[shard] = asyncio.get_running_loop().create_future()
            answers[shard].set_result(PublishResult({shard: len(messages)}))
        return answers


async def test_an_event_that_is_set_aside_is_counted_and_logged() -> None:
    shelf, metrics = OneTooLarge(0, asyncio.Event()), RelayMetrics(CollectorRegistry())
    relay = shelf.relay = Relay(
        shelf,
        Takes(),
        Unchanged(),
        relay_id="me",
        partitions=1,
        lease_ttl_s=5.0,
        clock=asyncio.get_running_loop().time,
        metrics=metrics,
    )
    with capture_logs() as logs:
        async with asyncio.timeout(20):
            await relay.run()
    assert metrics.set_aside._value.get() == 1
    (told,) = [line for line in logs if line["event"] == "event_set_aside"]
    assert told["events"] == ("store:12@1",)
    assert "too large" in told["reason"]
