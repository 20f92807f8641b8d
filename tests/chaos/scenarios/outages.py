"""Outages of Kafka and PostgreSQL: stopped, killed, frozen, wiped, refusing connections."""

from __future__ import annotations

from deploy.kafka.server import KafkaServer
from tests.chaos.runner import Field, NotInjectedError, Scenario
from tests.chaos.site import aside
from tests.wiping import wipe_kafka


def kafka_of(ground: Field) -> KafkaServer:
    """Apache Kafka; scenarios that need it are not run without it."""
    assert ground.site.kafka is not None
    return ground.site.kafka


async def _stop_kafka(ground: Field) -> str:
    kafka = kafka_of(ground)
    await aside(kafka.stop)
    await ground.last(60)
    modes = ground.crowd.modes()
    await aside(kafka.start)
    if modes["polling"] < len(ground.crowd.watchers) * 0.9:
        raise NotInjectedError(f"clients poll: {dict(modes)}")
    return f"{modes['polling']} of {len(ground.crowd.watchers)} clients polled"


async def _kill_kafka(ground: Field) -> str:
    kafka = kafka_of(ground)
    await aside(kafka.kill)
    await ground.last(3)
    await aside(kafka.start)
    return "killed and started again"


async def _freeze_kafka(ground: Field) -> str:
    kafka = kafka_of(ground)
    kafka.process.suspend()
    await ground.last(20)
    await ground.all_in("polling", within_s=30)
    kafka.process.resume()
    return "frozen until all clients polled"


async def _wipe_kafka(ground: Field) -> str:
    # If Kafka loses its disk, acknowledged commands that nobody has read are lost, whatever our
    # programs do. So none may be under way. The topic of events may lose everything.
    await ground.load.pause()
    await ground.load.ingested(ground.site.ledger)
    ground.load.start(by_kafka=False)
    kafka = kafka_of(ground)
    await aside(kafka.kill)
    await aside(lambda: wipe_kafka(kafka))
    await ground.last(5)
    await aside(kafka.start)
    await ground.last(5)
    await ground.site.ready(*ground.site.stack.processes)
    ground.load.start()
    return "all topics gone, made anew by the relays and ingest"


async def _kill_postgres(ground: Field) -> str:
    postgres = ground.site.postgres
    await aside(postgres.kill)
    await ground.last(3)
    await aside(postgres.start)
    return "killed, recovered from its log"


async def _stop_postgres_at_once(ground: Field) -> str:
    postgres = ground.site.postgres
    await aside(postgres.stop_at_once)
    await ground.last(10)
    await aside(postgres.start)
    return "stopped without a checkpoint, recovered from its log"


async def _refuse_postgres(ground: Field) -> str:
    wires = [ground.site.database_wire, ground.site.relay_2_database_wire]
    for wire in wires:
        await wire.refuse()
    await ground.last(30)
    for wire in wires:
        await wire.start()
    return "connections cut and refused"


async def _stall_postgres(ground: Field) -> str:
    wires = [ground.site.database_wire, ground.site.relay_2_database_wire]
    for wire in wires:
        wire.stall()
    await ground.last(15)
    for wire in wires:
        wire.clear()
        wire.cut()
    return "nothing passed, then all connections were cut"


SCENARIOS = [
    Scenario("stop-kafka", "Kafka stopped for 60 s, started again", _stop_kafka, needs_kafka=True),
    Scenario("kill-kafka", "SIGKILL of Kafka, started again", _kill_kafka, needs_kafka=True),
    Scenario("freeze-kafka", "SIGSTOP of Kafka for 20 s", _freeze_kafka, needs_kafka=True),
    Scenario("wipe-kafka", "Kafka killed, its data deleted", _wipe_kafka, needs_kafka=True),
    Scenario("kill-postgres", "SIGKILL of PostgreSQL, started again", _kill_postgres),
    Scenario("crash-postgres", "immediate shutdown of PostgreSQL for 10 s", _stop_postgres_at_once),
    Scenario("refuse-postgres", "PostgreSQL refuses connections for 30 s", _refuse_postgres),
    Scenario("stall-postgres", "PostgreSQL's network stalls for 15 s", _stall_postgres),
]
