"""What printers say over MQTT of their jobs, applied once; over a real Postgres."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from core_api.devices.applying import Applied, DeviceMessages
from core_api.devices.measurements import Measurements
from core_api.devices.registrations import RegisterDevice, Registrations
from core_api.postgres.pool import LOCK_WAIT_S, open_pool
from core_api.printing.jobs import Job
from core_api.printing.results import NAMELESS, PrintResults
from core_api.receipts.reached import Reached
from core_api.receipts.statements import store_sightings
from server_common.devices.messages import Inbound, PrintAnswer
from server_common.devices.mqtt_topics import MessageKind
from server_common.errors import DeviceMessageError
from tests.integration.core_api.device_shop import KEYS
from tests.integration.core_api.test_print_jobs import Store

PRINTER = "kitchen-1"


class Kitchen:
    """A store whose printer is registered, and what it says."""

    def __init__(self, store: Store) -> None:
        self.store = store
        rules = store.edits.rules
        self._registrations = Registrations(store.documents, KEYS)
        self._messages = DeviceMessages(
            store.documents,
            Measurements(lambda: 0.0),
            lambda batch: store_sightings(store.pool, batch),
            PrintResults(rules).take,
        )
        self._n = itertools.count(1)

    async def register(self) -> None:
        await self._registrations.put(self.store.id, PRINTER, RegisterDevice())

    async def hear(self, kind: MessageKind, **fields: Any) -> Applied:
        raw = msgspec.Raw(json.dumps(fields).encode())
        return await self._messages.apply(Inbound(self.store.id, PRINTER, kind, 0, raw), 0)

    async def say(
        self, job: Job, outcome: str, agent: str | None = "a", attempt: int | None = None
    ) -> PrintAnswer | None:
        """A result of the printer; Core's answer."""
        more = {} if agent is None else {"agent": agent}
        if attempt is not None:
            more |= {"attempt": attempt}  # type: ignore[dict-item]
        n = next(self._n)
        return (await self.hear("result", boot=1, n=n, id=job.id, outcome=outcome, **more)).job

    async def job(self) -> Job:
        (job,) = await self.store.jobs()
        return job

    async def time_passes(self) -> None:
        """The printer is nobody's any more."""
        await self.store.pool.execute(
            "UPDATE printers SET held_until = now() - interval '1 s' WHERE store_id = $1",
            self.store.id,
        )


@pytest.fixture
async def kitchen(database_url: str) -> AsyncIterator[Kitchen]:
    pool = await open_pool(
        database_url, size=4, command_timeout_s=10, name="prints", lock_wait_s=LOCK_WAIT_S
    )
    made = Kitchen(Store(pool))
    await made.register()
    yield made
    pool.terminate()


async def test_an_agent_takes_a_job_and_says_that_it_is_printed(kitchen: Kitchen) -> None:
    job = await kitchen.store.a_job()
    kitchen.store.committed.clear()
    assert await kitchen.say(job, "taken") == PrintAnswer("sent", 1, repeat=False)
    assert (await kitchen.job()).agent == "a"
    assert await kitchen.say(job, "done", attempt=1) == PrintAnswer("done", 1)
    assert (await kitchen.job()).state == "done"
    assert kitchen.store.committed == [str(kitchen.store.printer)] * 2
    reached = await Reached(kitchen.store.pool, 10).of(kitchen.store.id, job.order)
    assert [one.state for one in reached.printers] == ["printed"]


async def test_the_same_message_again_changes_nothing(kitchen: Kitchen) -> None:
    job = await kitchen.store.a_job()
    taken = {"boot": 1, "n": 1, "id": job.id, "outcome": "taken", "agent": "a"}
    assert (await kitchen.hear("result", **taken)).outcome == "applied"
    assert await kitchen.hear("result", **taken) == Applied("repeated")
    assert (await kitchen.job()).attempts == 1


async def test_to_take_it_again_is_answered_with_the_attempt_that_is_under_way(
    kitchen: Kitchen,
) -> None:
    job = await kitchen.store.a_job()
    await kitchen.say(job, "taken")
    assert await kitchen.say(job, "taken") == PrintAnswer("sent", 1)


async def test_a_printer_that_another_holds_gives_no_job(kitchen: Kitchen) -> None:
    job = await kitchen.store.a_job()
    await kitchen.store.held("another")
    assert await kitchen.say(job, "taken") == PrintAnswer("held")
    await kitchen.time_passes()
    assert await kitchen.say(job, "taken") == PrintAnswer("sent", 1)


async def test_what_another_agent_had_taken_is_printed_again_as_a_repeat(
    kitchen: Kitchen,
) -> None:
    job = await kitchen.store.a_job()
    await kitchen.say(job, "taken", "gone")
    await kitchen.time_passes()
    assert await kitchen.say(job, "taken") == PrintAnswer("sent", 2, repeat=True)


async def test_a_doubtful_job_is_taken_again_as_a_repeat(kitchen: Kitchen) -> None:
    job = await kitchen.store.a_job()
    await kitchen.say(job, "taken")
    assert await kitchen.say(job, "doubtful", attempt=1) == PrintAnswer("doubtful", 1)
    assert await kitchen.say(job, "taken") == PrintAnswer("sent", 2, repeat=True)


async def test_a_failed_job_waits_for_a_person(kitchen: Kitchen) -> None:
    job = await kitchen.store.a_job()
    await kitchen.say(job, "taken")
    assert await kitchen.say(job, "failed", attempt=1) == PrintAnswer("failed", 1)
    assert (await kitchen.job()).waits


async def test_a_late_word_on_an_older_attempt_changes_nothing(kitchen: Kitchen) -> None:
    job = await kitchen.store.a_job()
    await kitchen.say(job, "taken")
    await kitchen.say(job, "doubtful", attempt=1)
    await kitchen.say(job, "taken")
    assert await kitchen.say(job, "doubtful", attempt=1) == PrintAnswer("sent", 2, repeat=True)
    assert (await kitchen.job()).state == "sent"


async def test_a_printed_job_cannot_be_taken(kitchen: Kitchen) -> None:
    job = await kitchen.store.a_job()
    await kitchen.say(job, "taken")
    await kitchen.say(job, "done", attempt=1)
    assert await kitchen.say(job, "taken") == PrintAnswer("done", 1)


async def test_jobs_are_taken_in_order_but_for_what_waits_for_a_person(kitchen: Kitchen) -> None:
    first = await kitchen.store.a_job()
    await kitchen.store.place()
    await kitchen.store.maker.round()
    _, second = await kitchen.store.jobs()
    assert await kitchen.say(second, "taken") == PrintAnswer("earlier")
    await kitchen.say(first, "taken")
    assert await kitchen.say(second, "taken") == PrintAnswer("earlier")
    await kitchen.say(first, "failed", attempt=1)
    assert await kitchen.say(second, "taken") == PrintAnswer("sent", 1)


async def test_a_job_that_is_deleted_is_gone(kitchen: Kitchen) -> None:
    job = await kitchen.store.a_job()
    await kitchen.store.pool.execute(
        "UPDATE documents SET value = NULL WHERE channel = $1 AND key = $2",
        str(kitchen.store.printer),
        f"print.{job.id}",
    )
    assert await kitchen.say(job, "taken") == PrintAnswer("gone")


@pytest.mark.parametrize(("outcome", "state"), [("done", "done"), ("failed", "failed")])
async def test_a_printer_that_takes_its_jobs_as_they_come_says_what_became_of_one(
    kitchen: Kitchen, outcome: str, state: str
) -> None:
    job = await kitchen.store.a_job()
    assert await kitchen.say(job, outcome, agent=None) == PrintAnswer(state, 1)
    assert (await kitchen.job()).agent == NAMELESS


async def test_a_result_of_what_there_never_was_is_refused(kitchen: Kitchen) -> None:
    with pytest.raises(DeviceMessageError) as caught:
        await kitchen.hear("result", boot=1, n=1, id="none", outcome="done")
    assert caught.value.reason == "unknown-command"


async def test_a_printer_that_says_by_mqtt_that_it_is_there_is_not_taken_for_silent(
    kitchen: Kitchen,
) -> None:
    job = await kitchen.store.a_job()
    await kitchen.hear("status", connection="c", online=True, at=1)
    await kitchen.say(job, "taken")
    await kitchen.time_passes()
    assert await kitchen.store.presence.round() == 0
    value = await kitchen.store.pool.fetchval(
        "SELECT value FROM documents WHERE channel = $1 AND key = 'status'",
        str(kitchen.store.printer),
    )
    assert json.loads(value)["online"] is True
