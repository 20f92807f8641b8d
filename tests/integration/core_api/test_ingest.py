"""Commands over Kafka: applied once, in order within a key, or kept aside with the reason."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx
import pytest
import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from core_api.access.callers import Caller
from core_api.errors import UnauthorizedError, UnavailableError
from core_api.ingest.consumer import Ingest
from core_api.ingest.main import run_ingest
from core_api.kafka.topics import dead_letter_topic, ensure_topics, inbound_topic
from core_api.orders.service import OrderService
from core_api.settings import IngestSettings
from server_common.sockets import bind
from server_common.supervision import Work
from tests.integration.core_api.relaying import PARTITIONS, commands, settings_of, until_true

if TYPE_CHECKING:
    from core_api.postgres.pool import Pool

ORDER: dict[str, object] = {
    "store_id": "12",
    "table_id": "5",
    "currency": "EUR",
    "items": [{"name": "Tea", "quantity": 1, "unit_price": 250}],
}


def a_command(key: str, command: str = "place", **fields: object) -> bytes:
    base = {"command": command, "idempotency_key": key, "subject": "pos-7", "body": ORDER}
    return json.dumps({**base, **fields}).encode()


async def _there() -> None:
    """A database that can take commands."""


class NoDevices:
    """In the place of what reads devices' messages."""

    def __init__(self) -> None:
        self._stopping = asyncio.Event()
        self.tasks: dict[str, Work] = {}
        self.healthy = True
        self.trouble = None

    async def run(self) -> None:
        await self._stopping.wait()

    def stop(self) -> None:
        self._stopping.set()

    async def close(self) -> None:
        """It has nothing to close."""


class Inbound:
    """A pair of topics, what is sent to the one and found in the other."""

    def __init__(self, bootstrap: str, producer: AIOKafkaProducer) -> None:
        self.bootstrap = bootstrap
        self.producer = producer
        name = uuid4().hex
        self.topic, self.dead, self.group = f"in-{name}", f"dlq-{name}", f"group-{name}"

    async def send(self, value: bytes | None, key: bytes | None = b"12", **more: Any) -> None:
        await self.producer.send_and_wait(self.topic, value, key, **more)

    @contextlib.asynccontextmanager
    async def ingested(
        self,
        on: OrderService | Faulty,
        port: list[int] | None = None,
        check: Callable[[], Awaitable[None]] = _there,
        beside: Mapping[str, Work] | None = None,
    ) -> AsyncIterator[asyncio.Task[None]]:
        commands: Any = on
        no_devices: Any = NoDevices()
        stop = asyncio.Event()
        listener = bind("127.0.0.1", 0, "none")
        if port is not None:
            port.append(listener.getsockname()[1])
        running = asyncio.create_task(
            run_ingest(
                settings_of(
                    IngestSettings,
                    kafka=self.bootstrap,
                    inbound_topic=self.topic,
                    inbound_dlq_topic=self.dead,
                    partitions=PARTITIONS,
                ),
                commands=commands,
                devices=lambda _registry: no_devices,
                beside=lambda _registry: beside or {},
                check=check,
                verify=_verify,
                listener=listener,
                stop=stop,
                group=self.group,
            )
        )
        try:
            yield running
        finally:
            stop.set()
            await running

    async def dead_letters(self, count: int) -> list[Any]:
        found: list[Any] = []
        async with _assigned(self.bootstrap, self.dead) as consumer, asyncio.timeout(20):
            while len(found) < count:
                found.append(await consumer.getone())
        return found

    async def committed(self) -> int:
        """How many records the group has dealt with."""
        async with _assigned(self.bootstrap, self.topic, self.group) as consumer:
            offsets = [await consumer.committed(p) for p in consumer.assignment()]
            return sum(offset or 0 for offset in offsets)

    async def until_committed(self, count: int) -> None:
        async with asyncio.timeout(20):
            while await self.committed() < count:  # noqa: ASYNC110 (Kafka tells nobody)
                await asyncio.sleep(0.1)


@pytest.fixture
async def inbound(bootstrap: str) -> AsyncIterator[Inbound]:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, max_request_size=2_000_000)
    await producer.start()
    made = Inbound(bootstrap, producer)
    topics = [inbound_topic(made.topic, PARTITIONS), dead_letter_topic(made.dead, PARTITIONS)]
    await ensure_topics(bootstrap, topics, 5)
    yield made
    await producer.stop()


async def test_commands_are_applied_in_order_within_their_store(
    pool: Pool, inbound: Inbound
) -> None:
    on = commands(pool)
    for number in range(40):
        store = str(number % 5)
        body = {**ORDER, "store_id": store, "reference": str(number)}
        await inbound.send(a_command(f"k{number}", body=body), store.encode())
    async with inbound.ingested(on):
        await until_true(pool, "SELECT count(*) = 40 FROM orders", 30)
        await inbound.until_committed(40)
    rows = await pool.fetch(
        "SELECT l.channel, o.reference::int FROM channel_log l JOIN orders o ON o.id = l.order_id"
        " WHERE l.channel LIKE 'store:%' ORDER BY l.channel, l.seq"
    )
    for place in range(5):
        references = [row[1] for row in rows if row[0] == f"store:{place}"]
        assert references == sorted(references)
        assert len(references) == 8


async def test_an_order_can_be_changed_and_cancelled(pool: Pool, inbound: Inbound) -> None:
    on = commands(pool)
    async with inbound.ingested(on):
        await inbound.send(a_command("place"))
        await until_true(pool, "SELECT count(*) = 1 FROM orders", 30)
        order_id = str(await pool.fetchval("SELECT id FROM orders"))
        change = a_command("change", "change", order_id=order_id, body={"note": "早く ✨"})
        await inbound.send(change)
        target: dict[str, object] = {"order_id": order_id, "if_match": 2}
        cancel = a_command("cancel", "transition", **target, body={"to": "cancelled"})
        await inbound.send(cancel)
        await until_true(pool, "SELECT status = 'cancelled' FROM orders")
        assert await pool.fetchval("SELECT note FROM orders") == "早く ✨"


async def test_a_redelivered_command_changes_nothing(pool: Pool, inbound: Inbound) -> None:
    on = commands(pool)
    async with inbound.ingested(on):
        for _ in range(3):
            await inbound.send(a_command("k1"))
        await inbound.send(a_command("k2"))
        await inbound.until_committed(4)
    # The whole topic once more, as after a crash before the offsets were committed.
    inbound.group += "-again"
    async with inbound.ingested(on):
        await inbound.until_committed(4)
    assert await pool.fetchval("SELECT count(*) FROM orders") == 2
    assert await pool.fetchval("SELECT max(head) FROM channel_heads") == 2


async def test_poison_is_put_aside_as_it_came_and_what_follows_is_applied(
    pool: Pool, inbound: Inbound
) -> None:
    poison: list[tuple[bytes | None, str]] = [
        (b"{nope", "bad-json"),
        (a_command("u").replace(b"pos-7", b"pos-\xff"), "bad-json"),
        (a_command("a", "explode"), "invalid"),
        (a_command("b", body={**ORDER, "surprise": 1}), "invalid"),
        (a_command("c", body={**ORDER, "note": "x" * 70_000}), "too-large"),
        (a_command("d", body={**ORDER, "note": "x" * 900_000}), "too-large"),
        (a_command(""), "bad-request"),
        (a_command("e", "transition", order_id="nope", body={"to": "cancelled"}), "not-found"),
        (None, "bad-json"),
    ]
    async with inbound.ingested(commands(pool)):
        for value, _ in poison:
            await inbound.send(value, b"12", headers=[("trace", b"t1")])
        await inbound.send(a_command("good"))
        await until_true(pool, "SELECT count(*) = 1 FROM orders", 30)
        letters = await inbound.dead_letters(len(poison))
        await inbound.until_committed(len(poison) + 1)
    assert [letter.value for letter in letters] == [value for value, _ in poison]
    for offset, (letter, (_, slug)) in enumerate(zip(letters, poison, strict=True)):
        headers = dict(letter.headers)
        assert headers["reason"].decode() == slug, headers
        assert headers["detail"]
        assert headers["trace"] == b"t1"
        assert headers["original_topic"].decode() == inbound.topic
        assert int(headers["original_offset"]) == offset
        assert int(headers["original_partition"]) == letter.partition
        assert letter.key == b"12"


async def test_what_the_domain_refuses_is_put_aside_with_its_slug(
    pool: Pool, inbound: Inbound
) -> None:
    on = commands(pool)
    async with inbound.ingested(on):
        await inbound.send(a_command("place"))
        await until_true(pool, "SELECT count(*) = 1 FROM orders", 30)
        order_id = str(await pool.fetchval("SELECT id FROM orders"))
        cancel: dict[str, object] = {"order_id": order_id, "body": {"to": "cancelled"}}
        for value in (
            a_command("place", body={**ORDER, "note": "another request"}),
            a_command("x", "transition", order_id=order_id, body={"to": "accepted"}),
            a_command("y", "transition", **cancel, if_match=7),
            a_command("v", "transition", **cancel, if_updated_at="2026-01-01T00:00:00Z"),
            a_command("z", "transition", **cancel),
            a_command("w", "transition", **cancel),
        ):
            await inbound.send(value)
        letters = await inbound.dead_letters(5)
    assert [dict(letter.headers)["reason"].decode() for letter in letters] == [
        "idempotency-mismatch",
        "forbidden",
        "stale-version",
        "stale-version",
        "impossible-transition",
    ]


async def test_while_postgres_is_away_nothing_is_put_aside_and_nothing_committed(
    pool: Pool, inbound: Inbound
) -> None:
    on = Faulty(commands(pool), UnavailableError("the database does not answer"))
    port: list[int] = []
    async with inbound.ingested(on, port), httpx.AsyncClient() as http:
        await inbound.send(a_command("k1"))
        await on.tried(3)
        assert await inbound.committed() == 0
        ready = await http.get(f"http://127.0.0.1:{port[0]}/readyz")
        assert ready.status_code == 503
        assert "the database does not answer" in ready.json()["detail"]
        assert (await http.get(f"http://127.0.0.1:{port[0]}/healthz")).status_code == 200
        on.error = None
        await until_true(pool, "SELECT count(*) = 1 FROM orders", 30)
        await inbound.until_committed(1)
        assert (await http.get(f"http://127.0.0.1:{port[0]}/readyz")).status_code == 200


async def test_it_is_not_ready_before_there_is_a_database(pool: Pool, inbound: Inbound) -> None:
    there = asyncio.Event()

    async def check() -> None:
        if not there.is_set():
            raise UnavailableError("the database does not answer")

    port: list[int] = []
    with structlog.testing.capture_logs() as log:
        async with inbound.ingested(commands(pool), port, check), httpx.AsyncClient() as http:
            url = f"http://127.0.0.1:{port[0]}/readyz"
            async with asyncio.timeout(20):
                while not any(line["event"] == "ingest_waits" for line in log):  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            assert (await http.get(url)).status_code == 503
            there.set()
            async with asyncio.timeout(20):
                while (await http.get(url)).status_code != 200:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
    reasons = [line["reason"] for line in log if line["event"] == "ingest_waits"]
    assert reasons == ["the database does not answer"]


async def test_a_fault_of_ours_does_not_block_the_partition(pool: Pool, inbound: Inbound) -> None:
    on = Faulty(commands(pool), RuntimeError("a bug"))
    async with inbound.ingested(on):
        await inbound.send(a_command("k1"))
        (letter,) = await inbound.dead_letters(1)
    assert dict(letter.headers)["reason"] == b"internal"


@pytest.mark.parametrize("dies", ["ingest", "hints"])
async def test_a_task_that_dies_of_a_bug_is_started_again(
    pool: Pool, inbound: Inbound, monkeypatch: pytest.MonkeyPatch, dies: str
) -> None:
    bugs, again = {"ingest": [1], "hints": [1]}, asyncio.Event()
    session = Ingest._session

    def fail_once(task: str) -> None:
        if task == dies:
            if bugs[task]:
                bugs[task].pop()
                raise ZeroDivisionError("a bug")
            again.set()

    async def session_that_fails(ingest: Ingest) -> None:
        fail_once("ingest")
        await session(ingest)

    async def hint() -> None:
        fail_once("hints")
        await asyncio.Event().wait()

    monkeypatch.setattr(Ingest, "_session", session_that_fails)
    port: list[int] = []
    async with (
        inbound.ingested(commands(pool), port, beside={"hints": hint}),
        httpx.AsyncClient() as http,
    ):
        async with asyncio.timeout(30):
            await again.wait()
        await inbound.send(a_command("k1"))
        await until_true(pool, "SELECT count(*) = 1 FROM orders", 30)
        shown = await http.get(
            f"http://127.0.0.1:{port[0]}/metrics", headers={"authorization": "Bearer ops"}
        )
    assert f'yabam_ingest_task_restarts_total{{task="{dies}"}} 1.0' in shown.text


# The embedded broker's groups do not get past one member: a second one's SyncGroup is refused.
@pytest.mark.parametrize(
    "bootstrap", [pytest.param("kafka", marks=pytest.mark.kafka)], indirect=True
)
async def test_two_members_share_the_partitions_and_nothing_is_applied_twice(
    pool: Pool, inbound: Inbound
) -> None:
    on = commands(pool)
    async with inbound.ingested(on):
        for number in range(60):
            body = {**ORDER, "store_id": str(number)}
            await inbound.send(a_command(f"k{number}", body=body), str(number).encode())
        async with inbound.ingested(on):
            for number in range(60, 120):
                body = {**ORDER, "store_id": str(number)}
                await inbound.send(a_command(f"k{number}", body=body), str(number).encode())
            await until_true(pool, "SELECT count(*) = 120 FROM orders", 60)
        await inbound.until_committed(120)
    assert await pool.fetchval("SELECT count(*) FROM channel_log") == 240


@pytest.mark.parametrize(
    "bootstrap", [pytest.param("kafka", marks=pytest.mark.kafka)], indirect=True
)
async def test_a_topic_that_a_broker_has_lost_is_made_anew_and_read(
    pool: Pool, inbound: Inbound
) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=inbound.bootstrap)
    await admin.start()
    try:
        async with inbound.ingested(commands(pool)):
            await inbound.send(a_command("before"))
            await inbound.until_committed(1)
            await admin.delete_topics([inbound.topic])
            async with asyncio.timeout(30):
                while inbound.topic not in await admin.list_topics():  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
            await inbound.send(a_command("after"))
            await until_true(pool, "SELECT count(*) = 2 FROM orders", within_s=30)
        assert inbound.topic in await admin.list_topics()
    finally:
        await admin.close()


async def test_numbers_are_for_ops_only(pool: Pool, inbound: Inbound) -> None:
    port: list[int] = []
    async with inbound.ingested(commands(pool), port), httpx.AsyncClient() as http:
        await inbound.send(b"{nope")
        await inbound.dead_letters(1)
        url = f"http://127.0.0.1:{port[0]}/metrics"
        assert (await http.get(url)).status_code == 401
        wrong = await http.get(url, headers={"authorization": "Bearer producer"})
        assert (wrong.status_code, wrong.json()["type"]) == (403, "urn:yabam:problem:forbidden")
        forged = await http.get(url, headers={"authorization": "Bearer forged"})
        assert forged.status_code == 401
        shown = await http.get(url, headers={"authorization": "Bearer ops"})
        assert 'yabam_ingest_dead_letters_total{reason="bad-json"} 1.0' in shown.text


class Faulty:
    """The write path, which fails for as long as it is told to."""

    def __init__(self, inner: OrderService, error: Exception | None) -> None:
        self._inner = inner
        self.error = error
        self._tries = asyncio.Semaphore(0)

    async def tried(self, times: int) -> None:
        """Wait until it has been tried so often."""
        async with asyncio.timeout(30):
            for _ in range(times):
                await self._tries.acquire()

    async def place(self, *arguments: Any) -> Any:
        return await self._do(self._inner.place, arguments)

    async def transition(self, *arguments: Any) -> Any:
        return await self._do(self._inner.transition, arguments)

    async def change(self, *arguments: Any) -> Any:
        return await self._do(self._inner.change, arguments)

    async def _do(self, action: Callable[..., Any], arguments: Sequence[Any]) -> Any:
        self._tries.release()
        if self.error is not None:
            raise self.error
        return await action(*arguments)


def _verify(token: str) -> Caller:
    if token == "ops":
        return Caller("o", "ops")
    if token == "producer":
        return Caller("p", "producer")
    raise UnauthorizedError("no such token")


@contextlib.asynccontextmanager
async def _assigned(
    bootstrap: str, topic: str, group: str | None = None
) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer of all partitions that joins no group; with `group` it may see its offsets."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=20,
        group_id=group,
        enable_auto_commit=False,
    )
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, number) for number in range(PARTITIONS)])
        yield consumer
    finally:
        await consumer.stop()
