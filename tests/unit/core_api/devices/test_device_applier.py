"""A device's message is applied or lies aside, and is answered, before its offset is committed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import asyncpg
import msgspec
import pytest
from msgspec import Raw
from prometheus_client import CollectorRegistry

from core_api.devices.applying import Applied
from core_api.devices.metrics import DeviceMetrics
from core_api.errors import TooManyDocumentsError, UnavailableError
from core_api.ingest.device_applier import DeviceApplier
from core_api.ingest.inbound_commands import InboundRecord, UnreadRecords
from server_common.devices.messages import DeadLetter, Inbound, Outbound, Ring, encode
from server_common.devices.mqtt_topics import MessageKind
from server_common.devices.star import StarSaid
from server_common.errors import DeviceMessageError


def record(
    n: int, kind: MessageKind = "event", device: str = "bell-1", **more: Any
) -> InboundRecord:
    payload = msgspec.Raw(json.dumps({"boot": 1, "n": n, "name": "bell"} | more).encode())
    message = Inbound("12", device, kind, 5, payload)
    return raw(n, encode(message), message.key)


def raw(offset: int, value: bytes | None, key: bytes = b"12/bell-1") -> InboundRecord:
    return InboundRecord("devices.inbound", 3, offset, 1000, key, value, [])


class World:
    """A write path, and where answers and dead letters go; each raises what it is told to first."""

    def __init__(
        self,
        errors: Sequence[BaseException] = (),
        sends: Sequence[BaseException] = (),
        seen: Sequence[int] = (),
    ) -> None:
        self.errors, self.sends, self.seen = list(errors), list(sends), set(seen)
        self.log: list[tuple[str, Any]] = []
        self.letters: list[DeadLetter] = []

    async def apply(self, message: Inbound, partition: int) -> Applied:
        assert partition == 3
        if self.errors:
            raise self.errors.pop(0)
        n = json.loads(bytes(message.payload))["n"]
        self.log.append(("applied", n))
        return Applied("repeated" if n in self.seen else "applied")

    async def answer(self, answers: Sequence[Outbound]) -> None:
        if self.sends:
            raise self.sends.pop(0)
        self.log += [(one.outcome, (one.n, one.problem)) for one in answers]

    async def hear(self, said: StarSaid) -> Sequence[Ring]:
        if self.errors:
            raise self.errors.pop(0)
        self.log.append(("heard", said.word))
        return [Ring("12", "star-1", said.mac, "print-job")]

    async def ring(self, rings: Sequence[Ring]) -> None:
        if self.sends:
            raise self.sends.pop(0)
        self.log += [("rung", one.method) for one in rings]

    async def bury(self, letter: DeadLetter, key: bytes | None) -> None:
        if self.sends:
            raise self.sends.pop(0)
        self.letters.append(letter)
        self.log.append(("buried", key))

    def applier(self) -> DeviceApplier:
        path: Any = self
        metrics = DeviceMetrics(CollectorRegistry())
        return DeviceApplier(path, self.hear, path, lambda _seconds: asyncio.sleep(0), metrics)


async def test_each_message_is_answered_after_it_was_applied() -> None:
    world = World(seen=[2])
    await world.applier().apply([record(1), record(2)])
    assert world.log == [
        ("applied", 1),
        ("applied", (1, None)),
        ("applied", 2),
        ("repeated", (2, None)),
    ]


async def test_what_awaits_no_answer_gets_none() -> None:
    world = World()
    await world.applier().apply([record(1, "status")])
    assert world.log == [("applied", 1)]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (DeviceMessageError("no", "unknown-command"), "unknown-command"),
        (TooManyDocumentsError("full"), "too-many-documents"),
        (ZeroDivisionError(), "internal"),
        (asyncpg.DataError("no"), "internal"),
    ],
)
async def test_what_can_never_be_applied_is_kept_told_and_stops_nothing(
    error: Exception, reason: str
) -> None:
    world = World([error])
    await world.applier().apply([record(1), record(2)])
    assert world.log == [
        ("buried", b"12/bell-1"),
        ("refused", (1, reason)),
        ("applied", 2),
        ("applied", (2, None)),
    ]
    (letter,) = world.letters
    assert (letter.reason, letter.topic, letter.at_ms) == (reason, "devices.inbound/3/1", 1000)


@pytest.mark.parametrize("value", [None, b"{", b"[]", b"x" * 1_000_000])
async def test_what_is_no_message_lies_aside_and_is_answered_to_nobody(
    value: bytes | None,
) -> None:
    world = World()
    await world.applier().apply([raw(1, value), record(2)])
    assert world.log == [("buried", b"12/bell-1"), ("applied", 2), ("applied", (2, None))]


async def test_a_device_that_is_not_registered_is_answered_nothing() -> None:
    world = World([DeviceMessageError("who", "unknown-device")])
    await world.applier().apply([record(1)])
    assert world.log == [("buried", b"12/bell-1")]


async def test_a_result_without_numbers_lies_aside_without_an_answer() -> None:
    world = World([DeviceMessageError("no", "invalid")])
    await world.applier().apply([record(0, "result")])
    assert world.log == [("buried", b"12/bell-1")]


@pytest.mark.parametrize(
    "error",
    [
        UnavailableError("down"),
        asyncio.CancelledError(),
        asyncpg.exceptions.InFailedSQLTransactionError("again"),
    ],
)
async def test_a_message_waits_until_it_can_be_written(error: BaseException) -> None:
    world = World([error, error])
    await world.applier().apply([record(1)])
    assert world.log == [("applied", 1), ("applied", (1, None))]


async def test_answers_and_dead_letters_wait_until_kafka_takes_them() -> None:
    world = World([DeviceMessageError("no", "invalid")], [UnavailableError("down")] * 2)
    await world.applier().apply([record(1)])
    assert world.log == [("buried", b"12/bell-1"), ("refused", (1, "invalid"))]


async def test_messages_of_one_device_are_applied_in_their_order() -> None:
    world = World()
    sent = [record(n, device=f"bell-{n % 3}") for n in range(30)]
    await world.applier().apply(sent)
    applied = [n for what, n in world.log if what == "applied" and type(n) is int]
    for device in range(3):
        of_it = [n for n in applied if n % 3 == device]
        assert of_it == sorted(of_it)
    assert len(applied) == 30


async def test_records_that_cannot_be_read_lie_aside_with_their_place() -> None:
    world = World()
    await world.applier().set_aside(UnreadRecords("in", 3, 7, 9, None, b"\x00\xff"), "damaged")
    (letter,) = world.letters
    assert (letter.reason, letter.topic, letter.data) == ("unreadable", "in/3/7-9", b"\x00\xff")


def star() -> InboundRecord:
    said = StarSaid("00:11:62:1d:9a:b7", "client-status", 1000, Raw(b"{}"))
    return raw(1, encode(said))


async def test_a_star_printer_is_told_what_follows_from_its_word_though_kafka_fails_at_first() -> (
    None
):
    world = World(sends=[UnavailableError("Kafka does not answer")])
    await world.applier().apply([star()])
    assert world.log == [("heard", "client-status"), ("rung", "print-job")]


async def test_the_word_of_a_star_printer_that_nobody_knows_lies_aside() -> None:
    world = World([DeviceMessageError("who", "unknown-device")])
    await world.applier().apply([star()])
    assert world.log == [("buried", b"12/bell-1")]
