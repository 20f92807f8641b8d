"""A Star printer that takes its jobs over MQTT, over a real Postgres: what it says and is told."""

from __future__ import annotations

import json
import time
from base64 import b64decode
from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import uuid4

import pytest
from msgspec import Raw

from client_sdk.contract.channel import Channel
from core_api.devices.registrations import RegisterDevice, Registrations
from core_api.postgres.pool import LOCK_WAIT_S, open_pool
from core_api.printing.cloudprnt import Poll, token_of
from core_api.printing.jobs import PREFIX, Job
from core_api.printing.star.door import StarDoor
from core_api.printing.star.jobs import StarJobs
from core_api.printing.star.over_mqtt import ANSWERS_WITHIN_S
from core_api.printing.star_printers import StarPrinters
from core_api.printing.statements import read_value
from server_common.devices.identity import Identity
from server_common.devices.messages import Ring
from server_common.devices.mqtt_topics import StarWord
from server_common.devices.star import StarSaid
from server_common.errors import DeviceMessageError
from tests.integration.core_api.device_shop import KEYS
from tests.integration.core_api.test_print_jobs import Store

ROUTING = {"printers": {"kitchen-1": {"statuses": ["placed"], "language": "en"}}}


class Kitchen:
    """A store whose printer takes its jobs over MQTT, and its door at Core."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.mac = ":".join(uuid4().hex[n : n + 2] for n in range(0, 12, 2))
        self.stars = StarPrinters(store.pool)
        self.registrations = Registrations(store.documents, KEYS)
        self.clock = 1000.0
        self.door = self.another_door()

    def another_door(self) -> StarDoor:
        """The same of another process."""
        return StarDoor(self.polls(), self.stars, lambda: self.clock, now_ms)

    def polls(self) -> StarJobs:
        """What the door over HTTP does, too."""
        return StarJobs(self.store.prints, self.store.presence)

    async def open(self, media: Sequence[str] = ("text/plain",)) -> Identity:
        wanted = RegisterDevice(media=list(media))
        found, _, _ = await self.registrations.put(self.store.id, "kitchen-1", wanted)
        assert await self.stars.keep(found.identity, self.mac, "full")
        await self.store.route(ROUTING)
        return found.identity

    async def order(self) -> Job:
        await self.store.place()
        await self.store.maker.round()
        return (await self.store.jobs())[-1]

    async def says(self, word: StarWord, at_ms: int | None = None, **fields: Any) -> Sequence[Ring]:
        payload = json.dumps({"title": word, "printerMAC": self.mac, **fields}).encode()
        said = StarSaid(self.mac, word, now_ms() if at_ms is None else at_ms, Raw(payload))
        return await self.door.heard(said)

    async def status(self, code: str = "200%20OK", **fields: Any) -> Sequence[Ring]:
        return await self.says("client-status", statusCode=code, **fields)

    async def result(self, ring: Ring, code: str = "200%20OK", **fields: Any) -> None:
        """What the printer says of the job that it was told."""
        said = {"jobToken": ring.fields["jobToken"], "statusCode": code, **fields}
        assert await self.says("print-result", **said) == ()

    async def job(self) -> Ring:
        """The job that the printer is told when it says how it is."""
        (ring,) = await self.status()
        assert ring.method == "print-job"
        return ring

    async def states(self) -> list[tuple[str, int, bool]]:
        return [(one.state, one.attempts, one.repeat) for one in await self.store.jobs()]

    async def seen(self) -> dict[str, Any]:
        """What its document says of it."""
        channel = str(Channel("device", self.store.id, "kitchen-1"))
        async with self.store.pool.acquire() as connection:
            value = await read_value(connection, channel, "status")
        found: dict[str, Any] = json.loads(value or "{}")
        return found

    async def becomes_yesterday(self) -> None:
        """As if all jobs were of the day before."""
        await self.pass_time(86_400)
        await self.store.pool.execute(
            "UPDATE documents SET value = jsonb_set(value::jsonb, '{expires_at}', "
            "to_jsonb(((value::jsonb)->>'expires_at')::timestamptz - interval '1 day'))::text "
            "WHERE channel = $1 AND key LIKE $2",
            str(self.store.printer),
            f"{PREFIX}%",
        )

    async def pass_time(self, seconds: float) -> None:
        """As if the jobs had been as they are for so long."""
        await self.store.pool.execute(
            "UPDATE documents SET made_at = made_at - make_interval(secs => $1) "
            "WHERE channel = $2 AND key LIKE $3",
            seconds,
            str(self.store.printer),
            f"{PREFIX}%",
        )


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@pytest.fixture
async def kitchen(database_url: str) -> AsyncIterator[Kitchen]:
    pool = await open_pool(
        database_url, size=4, command_timeout_s=10, name="door", lock_wait_s=LOCK_WAIT_S
    )
    yield Kitchen(Store(pool))
    pool.terminate()


async def test_a_job_goes_out_once_and_its_result_ends_it(kitchen: Kitchen) -> None:
    await kitchen.open()
    assert await kitchen.status() == ()
    job = await kitchen.order()
    ring = await kitchen.job()
    assert (ring.mac, ring.store, ring.device) == (kitchen.mac, kitchen.store.id, "kitchen-1")
    assert ring.fields["jobToken"] == f"{job.id}.1"
    assert "김밥" in ring.fields["printData"]
    assert ring.until_ms is not None
    assert ring.until_ms - now_ms() <= 20_000
    assert await kitchen.states() == [("sent", 1, False)]
    # It says how it is while it prints, and again; the job is not told twice.
    assert await kitchen.status(printingInProgress=True) == ()
    assert await kitchen.status() == ()
    await kitchen.result(ring, printSucceeded=True)
    assert await kitchen.states() == [("done", 1, False)]
    assert await kitchen.status() == ()


async def test_the_next_job_waits_until_the_one_before_has_a_result(kitchen: Kitchen) -> None:
    await kitchen.open()
    first, second = await kitchen.order(), await kitchen.order()
    ring = await kitchen.job()
    assert ring.fields["jobToken"] == f"{first.id}.1"
    assert await kitchen.status() == ()
    await kitchen.result(ring)
    assert (await kitchen.job()).fields["jobToken"] == f"{second.id}.1"


async def test_a_result_that_comes_twice_or_late_changes_nothing(kitchen: Kitchen) -> None:
    await kitchen.open()
    await kitchen.order()
    first = await kitchen.job()
    await kitchen.result(first)
    await kitchen.order()
    await kitchen.job()
    await kitchen.result(first, "420%20Cover%20open", printSucceeded=False)
    await kitchen.result(first)
    assert await kitchen.states() == [("done", 1, False), ("sent", 1, False)]


async def test_a_result_that_names_no_job_ends_none(kitchen: Kitchen) -> None:
    await kitchen.open()
    await kitchen.order()
    first = await kitchen.job()
    await kitchen.result(first, printSucceeded=True)
    await kitchen.order()
    await kitchen.job()
    # That of the first, once more, by a broker that has not heard that it was taken.
    await kitchen.says("print-result", statusCode="200%20OK", printSucceeded=True)
    assert await kitchen.states() == [("done", 1, False), ("sent", 1, False)]


async def test_that_a_job_came_twice_is_no_word_about_the_first(kitchen: Kitchen) -> None:
    await kitchen.open()
    await kitchen.order()
    ring = await kitchen.job()
    await kitchen.result(ring, "540%20Duplicate", printSucceeded=False)
    assert await kitchen.states() == [("sent", 1, False)]
    await kitchen.result(ring, printSucceeded=True)
    assert await kitchen.states() == [("done", 1, False)]


async def test_a_job_of_which_no_word_comes_is_printed_again_as_a_repeat(kitchen: Kitchen) -> None:
    await kitchen.open()
    job = await kitchen.order()
    assert "REPEAT" not in (await kitchen.job()).fields["printData"]
    await kitchen.pass_time(61)
    assert await kitchen.status(printingInProgress=True) == ()
    again = await kitchen.job()
    assert again.fields["jobToken"] == f"{job.id}.2"
    assert "REPEAT" in again.fields["printData"]


async def test_what_a_printer_could_not_finish_is_printed_again_as_a_repeat(
    kitchen: Kitchen,
) -> None:
    await kitchen.open()
    await kitchen.order()
    await kitchen.result(await kitchen.job(), "410%20Out%20of%20paper", printSucceeded=False)
    assert await kitchen.states() == [("doubtful", 1, False)]
    assert await kitchen.status("410%20Out%20of%20paper") == ()
    assert (await kitchen.seen())["troubles"] == ["paper end"]
    assert "REPEAT" in (await kitchen.job()).fields["printData"]
    assert (await kitchen.seen())["troubles"] == []


async def test_what_a_printer_cannot_read_waits_for_a_person(kitchen: Kitchen) -> None:
    await kitchen.open()
    await kitchen.order()
    await kitchen.result(await kitchen.job(), "510%20Incompatible", printSucceeded=False)
    assert await kitchen.status() == ()
    (job,) = await kitchen.store.jobs()
    assert (job.state, job.waits) == ("failed", True)


async def test_a_new_printer_does_not_print_yesterdays_ticket_that_was_under_way(
    kitchen: Kitchen,
) -> None:
    await kitchen.open()
    await kitchen.order()
    await kitchen.job()
    await kitchen.becomes_yesterday()
    await kitchen.order()
    await kitchen.registrations.put(kitchen.store.id, "kitchen-1", RegisterDevice(rotate=True))
    await kitchen.open()
    today = await kitchen.job()
    assert [(one.state, one.waits) for one in await kitchen.store.jobs()] == [
        ("failed", True),
        ("sent", False),
    ]
    assert "REPEAT" not in today.fields["printData"]


async def test_a_printer_that_waits_until_its_paper_is_taken_out_gets_no_job(
    kitchen: Kitchen,
) -> None:
    await kitchen.open()
    await kitchen.order()
    assert await kitchen.status("221%20Output%20paper%20is%20present") == ()
    assert (await kitchen.seen())["troubles"] == ["take the paper out"]
    await kitchen.job()
    await kitchen.pass_time(61)
    assert await kitchen.status("220%20Printing") == ()
    assert await kitchen.states() == [("sent", 1, False)]


async def test_a_process_that_stood_still_does_not_tell_a_job_that_another_has_told(
    kitchen: Kitchen, monkeypatch: pytest.MonkeyPatch
) -> None:
    await kitchen.open()
    await kitchen.order()
    here, told = kitchen.door, list[Ring]()
    standing = kitchen.another_door()
    look = standing._jobs.reported

    async def stand_still(printer: Channel, poll: Poll) -> Job | None:
        offered = await look(printer, poll)
        kitchen.door = here
        told.append(await kitchen.job())
        return offered

    monkeypatch.setattr(standing._jobs, "reported", stand_still)
    kitchen.door = standing
    assert await kitchen.status() == ()
    assert len(told) == 1
    assert await kitchen.states() == [("sent", 1, False)]


async def test_a_result_counts_after_the_printer_was_told_to_poll_again(kitchen: Kitchen) -> None:
    printer = await kitchen.open()
    await kitchen.order()
    ring = await kitchen.job()
    assert await kitchen.stars.keep(printer, kitchen.mac, "trigger")
    await kitchen.result(ring, printSucceeded=True)
    assert await kitchen.states() == [("done", 1, False)]
    with pytest.raises(DeviceMessageError, match="no printer"):
        await kitchen.status()


async def test_a_printer_that_polls_anew_while_a_job_is_under_way_gets_it_once_unmarked(
    kitchen: Kitchen,
) -> None:
    printer = await kitchen.open()
    await kitchen.order()
    ring = await kitchen.job()
    # It starts anew, and is told to poll.
    await kitchen.stars.keep(printer, kitchen.mac, "trigger")
    polls, well = kitchen.polls(), Poll("200 OK")
    assert await polls.reported(kitchen.store.printer, well) is None
    await kitchen.pass_time(61)
    offered = await polls.reported(kitchen.store.printer, well)
    assert offered is not None
    token = token_of(offered)
    assert token != ring.fields["jobToken"]
    wanted = await polls.wanted(kitchen.store.printer, token)
    assert wanted is not None
    taken = await polls.take(kitchen.store.printer, wanted)
    assert taken is not None
    assert (taken.attempts, taken.repeat) == (2, True)
    # And back again, with that one under way.
    await kitchen.stars.keep(printer, kitchen.mac, "full")
    assert await kitchen.status() == ()
    await kitchen.result(ring, printSucceeded=True)
    assert await kitchen.states() == [("sent", 2, True)]
    await polls.confirmed(kitchen.store.printer, token, "done", "")
    assert await kitchen.states() == [("done", 2, True)]


async def test_a_printer_that_was_removed_and_comes_back_has_nothing_of_before(
    kitchen: Kitchen,
) -> None:
    await kitchen.open()
    await kitchen.order()
    await kitchen.order()
    ring = await kitchen.job()
    await kitchen.registrations.remove(kitchen.store.id, "kitchen-1")
    with pytest.raises(DeviceMessageError, match="no printer"):
        await kitchen.result(ring, printSucceeded=True)
    await kitchen.open()
    assert await kitchen.status() == ()
    await kitchen.result(ring, printSucceeded=True)
    assert await kitchen.store.jobs() == []
    today = await kitchen.order()
    assert (await kitchen.job()).fields["jobToken"] == f"{today.id}.1"


async def test_the_copies_of_a_ticket_come_one_after_the_other(kitchen: Kitchen) -> None:
    await kitchen.open()
    routing = ROUTING["printers"]["kitchen-1"] | {"copies": 2}
    await kitchen.store.route({"printers": {"kitchen-1": routing}})
    await kitchen.order()
    first = await kitchen.job()
    await kitchen.result(first, printSucceeded=True)
    second = await kitchen.job()
    assert first.fields["jobToken"] != second.fields["jobToken"]
    await kitchen.result(first, printSucceeded=True)
    assert await kitchen.states() == [("done", 1, False), ("sent", 1, False)]


async def test_a_ticket_of_before_a_restore_is_marked(kitchen: Kitchen) -> None:
    await kitchen.open()
    await kitchen.order()
    await kitchen.store.pool.execute("UPDATE epoch SET started_at = now()")
    assert "REPEAT" in (await kitchen.job()).fields["printData"]


async def test_an_open_cover_takes_no_job(kitchen: Kitchen) -> None:
    await kitchen.open()
    await kitchen.order()
    assert await kitchen.status("420%20Cover%20open") == ()
    assert await kitchen.states() == [("queued", 0, False)]
    assert (await kitchen.seen())["troubles"] == ["cover open"]


async def test_a_last_will_says_that_it_is_gone(kitchen: Kitchen) -> None:
    await kitchen.open()
    await kitchen.status()
    assert (await kitchen.seen())["online"]
    assert await kitchen.says("client-will", unintentionalDisconnection=True) == ()
    assert not (await kitchen.seen())["online"]
    await kitchen.status()
    assert (await kitchen.seen())["online"]


async def test_a_word_of_long_ago_sends_no_job(kitchen: Kitchen) -> None:
    await kitchen.open()
    await kitchen.order()
    assert await kitchen.says("client-status", now_ms() - 11_000, statusCode="200") == ()
    assert await kitchen.states() == [("queued", 0, False)]


async def test_another_agents_printer_gets_no_job_here(kitchen: Kitchen) -> None:
    await kitchen.open()
    await kitchen.order()
    await kitchen.store.held("another")
    assert await kitchen.status() == ()
    assert await kitchen.states() == [("queued", 0, False)]


async def test_the_printer_is_asked_for_its_media_types_before_its_first_job(
    kitchen: Kitchen,
) -> None:
    await kitchen.open(media=())
    await kitchen.order()
    (asked,) = await kitchen.status()
    assert (asked.method, asked.fields) == (
        "order-client-action",
        {"clientAction": [{"request": "Encodings", "options": ""}]},
    )
    assert await kitchen.status() == ()
    told = [{"request": "Encodings", "result": "text/vnd.star.markup; text/plain"}]
    (ring,) = await kitchen.status(clientAction=told)
    assert ring.fields["mediaTypes"] == ["text/vnd.star.markup"]
    assert "[cut: feed; partial]" in ring.fields["printData"]


async def test_a_printer_that_cannot_read_what_it_has_named_is_asked_again(
    kitchen: Kitchen,
) -> None:
    await kitchen.open(media=())
    await kitchen.order()
    await kitchen.status()
    told = [{"request": "Encodings", "result": "text/plain"}]
    (ring,) = await kitchen.status(clientAction=told)
    await kitchen.result(ring, "510%20Incompatible", printSucceeded=False)
    (asked,) = await kitchen.status()
    assert asked.method == "order-client-action"


async def test_a_printer_that_answers_no_question_gets_what_all_print(kitchen: Kitchen) -> None:
    await kitchen.open(media=())
    await kitchen.order()
    (asked,) = await kitchen.status()
    assert asked.method == "order-client-action"
    kitchen.clock += ANSWERS_WITHIN_S
    ring = await kitchen.job()
    assert ring.fields["mediaTypes"] == ["image/png"]
    assert b64decode(ring.fields["printData"]).startswith(b"\x89PNG")


async def test_a_picture_that_fits_in_no_message_goes_as_text(
    kitchen: Kitchen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core_api.printing.star.door.MAX_JOB_BYTES", 1000)
    await kitchen.open(media=("image/png", "text/plain"))
    await kitchen.order()
    assert (await kitchen.job()).fields["mediaTypes"] == ["text/plain"]


async def test_what_fits_in_no_message_at_all_waits_for_a_person(
    kitchen: Kitchen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core_api.printing.star.door.MAX_JOB_BYTES", 10)
    await kitchen.open()
    await kitchen.order()
    assert await kitchen.status() == ()
    (job,) = await kitchen.store.jobs()
    assert (job.state, job.waits, job.detail[:9]) == ("failed", True, "too large")


async def test_another_process_of_core_goes_on_where_the_first_was(kitchen: Kitchen) -> None:
    await kitchen.open()
    await kitchen.order()
    ring = await kitchen.job()
    kitchen.door = kitchen.another_door()
    assert await kitchen.status() == ()
    await kitchen.result(ring)
    assert await kitchen.states() == [("done", 1, False)]


async def test_who_has_no_printer_here_is_nobody(kitchen: Kitchen) -> None:
    with pytest.raises(DeviceMessageError, match="no printer"):
        await kitchen.status()


async def test_a_token_of_another_printers_job_changes_nothing(kitchen: Kitchen) -> None:
    await kitchen.open()
    await kitchen.order()
    ring = await kitchen.job()
    thief = Kitchen(Store(kitchen.store.pool))
    await thief.open()
    await thief.result(ring)
    assert await kitchen.states() == [("sent", 1, False)]
