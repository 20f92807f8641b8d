"""Both brokers with the same client: what is sent can be read again, unchanged."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from deploy.kafka.class_archive import ensure_class_archive
from deploy.kafka.server import KafkaServer, Member, class_archive, ensure_libs
from deploy.local.broker import EmbeddedBroker
from deploy.processes.ports import PortTakenError, free_port

BUILD = Path("build/kafka")
META = "meta.properties"


@pytest.fixture(
    params=["embedded", pytest.param("apache", marks=pytest.mark.kafka)],
)
def broker(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[EmbeddedBroker | KafkaServer]:
    server: EmbeddedBroker | KafkaServer = (
        EmbeddedBroker(tmp_path)
        if request.param == "embedded"
        else KafkaServer(tmp_path / "kafka", ensure_libs(BUILD, print))
    )
    server.start()
    yield server
    server.stop()


async def _make_topic(bootstrap: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    # librdkafka's own broker fixes the number of partitions.
    await admin.create_topics([NewTopic("t", 4, 1)])
    await admin.close()


async def _send(bootstrap: str, value: bytes) -> int:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True)
    await producer.start()
    try:
        sent = await producer.send_and_wait(
            "t", value, key=b"12", partition=2, headers=[("h", b"\xe2\x80\xa8")], timestamp_ms=5000
        )
        return int(sent.offset)
    finally:
        await producer.stop()


async def test_a_record_comes_back_as_it_was_sent(broker: EmbeddedBroker | KafkaServer) -> None:
    if isinstance(broker, KafkaServer):
        await _make_topic(broker.bootstrap)
    await _send(broker.bootstrap, "김밥\u2028".encode())
    consumer = AIOKafkaConsumer(bootstrap_servers=broker.bootstrap)
    await consumer.start()
    try:
        partition = TopicPartition("t", 2)
        consumer.assign([partition])
        await consumer.seek_to_beginning(partition)
        record = await consumer.getone()
        assert record.value == "김밥\u2028".encode()
        assert (record.key, record.timestamp) == (b"12", 5000)
        assert list(record.headers) == [("h", b"\xe2\x80\xa8")]
    finally:
        await consumer.stop()


@pytest.mark.kafka
async def test_apache_kafka_keeps_its_records_through_a_kill(tmp_path: Path) -> None:
    server = KafkaServer(tmp_path / "kafka", ensure_libs(BUILD, print))
    server.start()
    try:
        await _make_topic(server.bootstrap)
        assert await _send(server.bootstrap, b"1") == 0
        server.kill()
        server.start()
        assert await _send(server.bootstrap, b"2") == 1
    finally:
        server.stop()
    assert server.process.exit_status is not None


def contents(node: KafkaServer) -> dict[str, Any]:
    """The files of a node's folder: the settings in META, and the bytes of all others."""
    found: dict[str, Any] = {path.name: path.read_bytes() for path in node.log_folder.iterdir()}
    lines = [line.partition("=") for line in found[META].decode().splitlines()]
    return found | {META: {name: value for name, is_setting, value in lines if is_setting}}


@pytest.fixture
def other_libs(tmp_path: Path) -> Path:
    """The same jars at another path, for which no class archive exists yet."""
    libs = tmp_path / "libs"
    libs.symlink_to(ensure_libs(BUILD, print).absolute())
    return libs


@pytest.mark.kafka
def test_a_wrong_archive_of_classes_is_of_no_harm_and_a_copied_folder_is_as_the_tools(
    other_libs: Path, tmp_path: Path
) -> None:
    class_archive(other_libs).write_bytes(b"of another Java")
    first, *others = [
        KafkaServer(tmp_path / f"node-{number}", other_libs, member=Member(number, {number: port}))
        for number, port in enumerate((free_port(), 1, 1), 1)
    ]
    first.prepare()
    made = contents(first)
    first.start()
    first.kill()
    ids = {made[META]["directory.id"]}
    for node in others:
        node.prepare()
        copied = contents(node)
        own = {"node.id": str(node.number), "directory.id": copied[META]["directory.id"]}
        assert copied == made | {META: made[META] | own}
        ids.add(own["directory.id"])
    assert len(ids) == 3


@pytest.mark.kafka
def test_an_archive_of_classes_is_made_once(other_libs: Path) -> None:
    class_archive(other_libs).write_bytes(b"made before")
    said: list[str] = []
    ensure_class_archive(other_libs, said.append)
    assert said == []
    assert class_archive(other_libs).read_bytes() == b"made before"


@pytest.mark.kafka
def test_apache_kafka_names_a_taken_port(tmp_path: Path) -> None:
    import socket

    libs = ensure_libs(BUILD, print)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortTakenError, match=str(port)):
            KafkaServer(tmp_path / "kafka", libs, port).start()
