"""How an event server starts from a tiered topic, whose older segments are in remote storage.

    python -m tests.bench.tiered [--records 40000]

A real Apache Kafka with the remote storage of its own tests (`LocalTieredStorage`, a folder) has
the same records twice: in a topic on its own disk, and in one that keeps only one second of them
there, less than the window that an event server reads at its start. An event server's own reader
reads each until it is warm, and must get every record.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Final

import uvloop
from aiokafka import AIOKafkaConsumer, TopicPartition

from client_sdk.contract.errors import YabamError
from core_api.kafka.topics import Topic, ensure_topics, events_topic
from deploy.kafka.server import KafkaServer, ensure_libs
from tests.bench.firehose import fill, records, through_kafka

_JAR: Final = Path(__file__).with_name("tiered.xml")
_STORES: Final = 100
_ROUNDS: Final = 3
_MOVED_WITHIN_S: Final = 120.0
_TIERED: Final = {
    "remote.storage.enable": "true",
    "local.retention.ms": "1000",
    "segment.bytes": str(2 << 20),
}


def main() -> None:
    """Measure both, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.tiered", description=__doc__)
    parser.add_argument("--records", type=int, default=40_000)
    count = parser.parse_args().records
    with tempfile.TemporaryDirectory(prefix="yabam-tiered-") as name:
        folder = Path(name)
        (folder / "remote").mkdir()
        libs = _libs(folder / "libs", ensure_libs(Path("build/kafka"), print))
        server = KafkaServer(folder / "kafka", libs, settings=_settings(folder / "remote"))
        server.start()
        try:
            print("| the topic | first offset on Kafka's own disk | CPU of the event server, µs "
                  "a record | until it is warm |")  # fmt: skip
            print("| --- | ---: | ---: | ---: |")
            for topic, configs in (("local", {}), ("tiered", _TIERED)):
                print(_measured(server, topic, configs, count), flush=True)
        finally:
            server.stop()


def _measured(server: KafkaServer, name: str, configs: dict[str, str], count: int) -> str:
    wanted = events_topic(name, 1)
    topic = Topic(name, 1, exact=True, configs=dict(wanted.configs) | configs)
    uvloop.run(ensure_topics(server.bootstrap, [topic], 10))
    uvloop.run(fill(server.bootstrap, name, records(count, _STORES), time.time()))
    if configs:
        _until_moved(server, name)
    first = _first_on_disk(server, name)
    if uvloop.run(_begins(server.bootstrap, name)) != 0:
        raise YabamError("the topic has lost its first records, not moved them")
    spent, took = [], []
    for _ in range(_ROUNDS):
        began = time.monotonic()
        spent.append(uvloop.run(through_kafka(server.bootstrap, name, count)))
        took.append(time.monotonic() - began)
    micros = sorted(spent)[_ROUNDS // 2] / count * 1e6
    return (
        f"| {name} | {first:,} of {count:,} | {micros:.1f} | {sorted(took)[_ROUNDS // 2]:.2f} s |"
    )


def _until_moved(server: KafkaServer, name: str) -> None:
    """Wait until most of the topic is only in the remote storage.

    Raises:
        YabamError: it was not moved in time.
    """
    deadline = time.monotonic() + _MOVED_WITHIN_S
    while len(list(_segments(server, name))) > 1:
        if time.monotonic() > deadline:
            raise YabamError(f"Kafka moves nothing:\n{server.process.log_tail()}")
        time.sleep(0.5)


def _segments(server: KafkaServer, name: str) -> list[Path]:
    return sorted((server.log_folder / f"{name}-0").glob("*.log"))


def _first_on_disk(server: KafkaServer, name: str) -> int:
    return int(_segments(server, name)[0].stem)


async def _begins(kafka: str, name: str) -> int:
    """The topic's first offset, wherever its record is stored."""
    part = TopicPartition(name, 0)
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka)
    await consumer.start()
    try:
        return int((await consumer.beginning_offsets([part]))[part])
    finally:
        await consumer.stop()


def _settings(remote: Path) -> dict[str, str]:
    return {
        "remote.log.storage.system.enable": "true",
        "remote.log.storage.manager.class.name":
            "org.apache.kafka.server.log.remote.storage.LocalTieredStorage",
        "remote.log.storage.manager.impl.prefix": "rsm.config.",
        "rsm.config.dir": str(remote),
        "remote.log.metadata.manager.listener.name": "PLAINTEXT",
        "rlmm.config.remote.log.metadata.topic.replication.factor": "1",
        "rlmm.config.remote.log.metadata.topic.num.partitions": "1",
        "remote.log.manager.task.interval.ms": "500",
        "log.retention.check.interval.ms": "500",
        "log.initial.task.delay.ms": "500",
    }  # fmt: skip


def _libs(folder: Path, libs: Path) -> Path:
    """Kafka's jars and the remote storage of its tests."""
    folder.mkdir()
    for jar in libs.glob("*.jar"):
        (folder / jar.name).symlink_to(jar.resolve())
    done = subprocess.run(
        ["mvn", "-q", "-B", "-f", str(_JAR), "dependency:copy-dependencies",
         f"-DoutputDirectory={folder}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise YabamError(f"Maven could not fetch Kafka's test jar:\n{done.stdout[-2000:]}")
    return folder


if __name__ == "__main__":
    main()
