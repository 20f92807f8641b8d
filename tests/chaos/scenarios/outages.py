"""Kafka and PostgreSQL: stopped, frozen, wiped, refusing."""

from __future__ import annotations

from deploy.kafka.server import KafkaServer
from tests.chaos.runner import Field, NotInjectedError, Scenario
from tests.chaos.site import aside

_KAFKA_DOWN_S = 60.0


def _kafka(ground: Field) -> KafkaServer:
    if ground.site.kafka is None:
        raise NotInjectedError("Apache Kafka runs")
    return ground.site.kafka


async def _stop_kafka(ground: Field) -> str:
    kafka = _kafka(ground)
    await aside(kafka.stop)
    await ground.last(_KAFKA_DOWN_S)
    modes = ground.crowd.modes()
    await aside(kafka.start)
    if modes["polling"] < len(ground.crowd.watchers) * 0.9:
        raise NotInjectedError(f"clients poll: {dict(modes)}")
    return f"{modes['polling']} of {len(ground.crowd.watchers)} clients polled"


SCENARIOS = [
    Scenario(
        "stop-kafka", "Kafka stopped for 60 s and started again", _stop_kafka, needs_kafka=True
    ),
]
