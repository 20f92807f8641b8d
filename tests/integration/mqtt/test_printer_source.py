"""A printer's jobs over a real broker: taken, told, and what becomes of answers that are lost."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from client_sdk.errors import UnreachableError
from client_sdk.printer.errors import AgentError, HeldError
from client_sdk.printer.mqtt_source import MqttSource
from client_sdk.printer.source import Taken
from deploy.mqtt.server import MosquittoServer
from server_common.devices.identity import Identity
from server_common.devices.mqtt_topics import accepted_topic, commands_topic, up_topic
from server_common.mqtt.connection import BrokerConnection, Incoming
from tests.mqtt_parts import (
    DEVICE_KEYS,
    Register,
    administered,
    broker_for_gateway,
    until,
)

Reply = dict[str, Any] | None


class Core:
    """Gateway and Core in one: it hears the printer, and answers as a test wants."""

    def __init__(self, server: MosquittoServer, printer: Identity) -> None:
        self.printer = printer
        self.results: list[dict[str, Any]] = []
        self.statuses: list[dict[str, Any]] = []
        self.reply: Callable[[dict[str, Any]], Reply] = lambda _result: {"outcome": "applied"}
        self._connection = BrokerConnection(broker_for_gateway(server), "gateway", self._hear)
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        await self._connection.open()
        await self._connection.subscribe([self._topic("result"), self._topic("status")])

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._connection.close()

    async def job(self, name: str = "o1-1-1", seq: int = 1, epoch: str = "E", **more: Any) -> None:
        """A print job comes down."""
        job = {
            "seq": seq, "copy": 1, "state": "queued", "language": "en", "columns": 42,
            "media": "text", "lines": [{"text": "Table 5", "style": "plain"}], **more,
        }  # fmt: skip
        fields = {"type": "command", "epoch": epoch, "id": name, "name": "print", "arguments": job}
        await self._publish(commands_topic(self.printer.store, self.printer.device), fields)

    def _topic(self, kind: Any) -> str:
        return up_topic(self.printer.store, self.printer.device, kind)

    async def _publish(self, topic: str, fields: dict[str, Any]) -> None:
        await self._connection.publish(topic, json.dumps(fields).encode())

    def _hear(self, message: Incoming) -> None:
        self._connection.acknowledge(message)
        fields = json.loads(message.payload)
        if message.topic.endswith("/status"):
            self.statuses.append(fields)
            return
        self.results.append(fields)
        reply = self.reply(fields)
        if reply is not None:
            accepted = {"type": "accepted", "epoch": "E", "boot": fields["boot"], "n": fields["n"]}
            topic = accepted_topic(self.printer.store, self.printer.device)
            self._tasks.add(asyncio.create_task(self._publish(topic, accepted | reply)))


@pytest.fixture
def printer(register: Register) -> Identity:
    return register.put("12", "kitchen-1")


@pytest.fixture
async def core(
    mosquitto: MosquittoServer, register: Register, printer: Identity
) -> AsyncIterator[Core]:
    made = Core(mosquitto, printer)
    async with administered(mosquitto, register):
        await made.open()
        yield made
        await made.close()


@pytest.fixture
async def source(core: Core, mosquitto: MosquittoServer) -> AsyncIterator[MqttSource]:
    made = MqttSource(
        "127.0.0.1", mosquitto.port, user=core.printer.user,
        password=DEVICE_KEYS.password(core.printer, "k1"), ca_file=None, tls=False,
        agent="a", boot=7, answer_s=0.5,
    )  # fmt: skip
    async with made:
        await until(lambda: core.statuses)
        yield made


def sent(attempts: int = 1, *, repeat: bool = False) -> Reply:
    return {
        "outcome": "applied",
        "job": {"state": "sent", "attempts": attempts, "repeat": repeat},
    }


def grants(attempts: int = 1, *, repeat: bool = False) -> Callable[[dict[str, Any]], Reply]:
    """Answers of a Core that gives each job, and notes what became of it."""

    def reply(result: dict[str, Any]) -> Reply:
        if result["outcome"] == "taken":
            return sent(attempts, repeat=repeat)
        job = {"state": result["outcome"], "attempts": attempts, "repeat": repeat}
        return {"outcome": "applied", "job": job}

    return reply


async def test_jobs_come_in_their_order_and_are_taken_and_told(
    core: Core, source: MqttSource
) -> None:
    await core.job("b", seq=2)
    await core.job("a", seq=1)
    await until(lambda: len(source.jobs()) == 2)
    assert [job.id for job in source.jobs()] == ["a", "b"]
    core.reply = grants(2, repeat=True)
    assert await source.take(source.jobs()[0]) == Taken("sent", 2, repeat=True)
    await source.tell("a", 2, "doubt", "mute")
    assert core.results == [
        {"boot": 7, "n": 1, "id": "a", "outcome": "taken", "agent": "a"},
        {
            "boot": 7, "n": 2, "id": "a", "outcome": "doubtful", "detail": "mute",
            "agent": "a", "attempt": 2,
        },
    ]  # fmt: skip
    assert [job.id for job in source.jobs()] == ["b"]


async def test_what_is_not_answered_is_said_again_under_the_same_number(
    core: Core, source: MqttSource
) -> None:
    replies: list[Reply] = [None, sent()]
    core.reply = lambda _result: replies.pop(0)
    await core.job()
    await until(source.jobs)
    assert await source.take(source.jobs()[0]) == Taken("sent", 1, repeat=False)
    assert [one["n"] for one in core.results] == [1, 1]


async def test_an_answer_that_was_lost_is_asked_for_under_a_new_number(
    core: Core, source: MqttSource
) -> None:
    replies: list[Reply] = [None, {"outcome": "repeated"}, sent()]
    core.reply = lambda _result: replies.pop(0)
    await core.job()
    await until(source.jobs)
    assert await source.take(source.jobs()[0]) == Taken("sent", 1, repeat=False)
    assert [one["n"] for one in core.results] == [1, 1, 2]


async def test_who_is_never_answered_says_so(core: Core, source: MqttSource) -> None:
    core.reply = lambda _result: None
    with pytest.raises(UnreachableError):
        await source.tell("a", 1, "done", "")


async def test_a_printer_of_another_agent_is_told_as_such(core: Core, source: MqttSource) -> None:
    core.reply = lambda _result: {"outcome": "applied", "job": {"state": "held"}}
    await core.job()
    await until(source.jobs)
    with pytest.raises(HeldError):
        await source.take(source.jobs()[0])


async def test_a_job_waits_until_the_one_before_it_has_come(core: Core, source: MqttSource) -> None:
    core.reply = lambda _result: {"outcome": "applied", "job": {"state": "earlier"}}
    await core.job("b", seq=2)
    await until(source.jobs)
    assert await source.take(source.jobs()[0]) is None
    assert [job.id for job in source.jobs()] == ["b"]


@pytest.mark.parametrize(
    "reply",
    [
        {"outcome": "applied", "job": {"state": "gone"}},
        {"outcome": "refused", "problem": "unknown-command"},
    ],
)
async def test_a_job_that_is_gone_is_forgotten(
    core: Core, source: MqttSource, reply: dict[str, Any]
) -> None:
    core.reply = lambda _result: reply
    await core.job()
    await until(source.jobs)
    assert await source.take(source.jobs()[0]) is None
    assert source.jobs() == []


async def test_what_core_cannot_do_now_is_not_taken_for_told(
    core: Core, source: MqttSource
) -> None:
    core.reply = lambda _result: {"outcome": "refused", "problem": "internal"}
    with pytest.raises(UnreachableError, match="internal"):
        await source.tell("a", 1, "done", "")


async def test_a_detail_says_nothing_that_core_would_refuse(core: Core, source: MqttSource) -> None:
    await source.tell("a", 1, "doubt", "broken\npipe\x00" + "x" * 300)
    assert core.results[0]["detail"] == "broken pipe " + "x" * 188


async def test_an_agent_older_than_others_ends_and_says_what_to_do(
    core: Core, source: MqttSource
) -> None:
    core.reply = lambda _result: {"outcome": "refused", "problem": "too-old"}
    with pytest.raises(AgentError, match="--rotate"):
        await source.tell("a", 1, "done", "")


async def test_a_job_that_comes_late_when_it_is_told_is_none_any_more(
    core: Core, source: MqttSource
) -> None:
    await source.tell("a", 1, "done", "")
    await core.job("a", state="sent", agent="a", attempts=1)
    await core.job("b", seq=2)
    await until(source.jobs)
    assert [job.id for job in source.jobs()] == ["b"]


async def test_a_job_that_core_has_gone_back_to_is_heard_again(
    core: Core, source: MqttSource
) -> None:
    await core.job("b", seq=2)
    await until(source.jobs)
    await source.tell("a", 1, "done", "")
    # The gateway publishes all that waits anew: ids of the log before may stand for other jobs now.
    await core.job("a", state="sent", agent="a", attempts=1, epoch="E2")
    await core.job("b", seq=2, epoch="E2")
    await until(lambda: [job.id for job in source.jobs()] == ["a", "b"])


async def test_an_outcome_that_core_has_not_noted_is_not_taken_for_told(
    core: Core, source: MqttSource
) -> None:
    core.reply = lambda _result: sent()
    with pytest.raises(UnreachableError, match="has not stored the result"):
        await source.tell("a", 1, "done", "")


async def test_a_job_that_cannot_be_read_is_left_to_a_person(
    core: Core, source: MqttSource
) -> None:
    core.reply = grants()
    await core.job("a", lines="of a newer Core")
    async with asyncio.timeout(30):
        while len(core.results) < 2:
            await source.changed(0.1)
    assert [one["outcome"] for one in core.results] == ["taken", "failed"]


async def test_while_it_prints_holding_renews_what_it_took(core: Core, source: MqttSource) -> None:
    core.reply = grants()
    await source.hold([])
    assert core.results == []
    await core.job()
    await until(source.jobs)
    await source.take(source.jobs()[0])
    await source.hold([])
    assert [one["outcome"] for one in core.results] == ["taken", "taken"]
    await source.tell("o1-1-1", 1, "done", "")
    await source.hold([])
    assert len(core.results) == 3


async def test_what_troubles_the_printer_is_in_its_status_at_once(
    core: Core, source: MqttSource
) -> None:
    await source.hold(["paper end"])
    await until(lambda: core.statuses[-1]["troubles"] == ["paper end"])
    assert core.statuses[-1]["online"] is True
    assert core.statuses[-1]["boot"] == 7
