"""Print jobs over a real Postgres: each event makes its jobs once, and each job is taken once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from prometheus_client import CollectorRegistry

from client_sdk.contract.channel import Channel
from client_sdk.contract.digest import canonical
from client_sdk.contract.limits import MAX_SHOWN_VALUE_BYTES
from client_sdk.contract.state.edit import Edit, EditBatch, OwnEdit
from client_sdk.contract.state.operations import Delete, Set
from core_api.access.callers import Caller
from core_api.documents.definitions import Definitions
from core_api.documents.devices import DEVICE_DEFINITIONS
from core_api.edits.service import EditService
from core_api.errors import ConflictError, NotFoundError
from core_api.orders.lifecycle import ChangeOrder, NewItem, PlaceOrder, Transition
from core_api.orders.service import OrderService
from core_api.postgres.pool import LOCK_WAIT_S, Pool, open_pool
from core_api.printing.definitions import PRINTING_DEFINITIONS
from core_api.printing.jobs import Job, StepReport
from core_api.printing.making import JobMaker
from core_api.printing.metrics import PrintMetrics
from core_api.printing.presence import PrinterPresence
from core_api.printing.service import PrintService
from core_api.printing.statements import has_earlier_job, trim_jobs
from core_api.receipts.reached import Reached
from core_api.store_rules.sold_out_or_closed import is_obeyed
from core_api.system_edits.document_access import DocumentAccess
from core_api.system_edits.ending import Ending
from core_api.wiring import new_order_id, utc_now
from server_common.limits import PRINT_JOB_BYTES, PRINT_JOBS

DEFINITIONS = Definitions((*DEVICE_DEFINITIONS, *PRINTING_DEFINITIONS))
ITEM = NewItem("김밥", 2, 3500)
KITCHEN = {"printers": {"kitchen-1": {"statuses": ["placed"]}}}


class Store:
    """One store, and all that works on it."""

    def __init__(self, pool: Pool) -> None:
        self.id = uuid4().hex[:12]
        self.pool = pool
        self.owner = Caller(f"owner-{self.id}", "owner", frozenset({self.id}))
        self.committed: list[str] = []
        self.edits = EditService(pool, DEFINITIONS, 4, lambda _: None, is_obeyed)
        self.orders = OrderService(pool, 4, utc_now, new_order_id, lambda _: None)
        self.metrics = PrintMetrics(CollectorRegistry())
        self.documents = DocumentAccess(pool, self.edits.rules, self.committed.extend)
        self.maker = self.another_maker()
        self.prints = PrintService(self.documents, self.metrics)
        self.presence = PrinterPresence(self.documents)
        self.printer = Channel("device", self.id, "kitchen-1")
        self._n = 0

    def another_maker(self) -> JobMaker:
        return JobMaker(self.documents, self.metrics)

    async def route(self, value: dict[str, Any] | None) -> None:
        self._n += 1
        do = Delete() if value is None else Set(value)
        base = OwnEdit(self._n - 1) if self._n > 1 else 0
        edit = Edit(n=self._n, channel=f"team:{self.id}", key="printing", do=do, base=base)
        answer = await self.edits.apply(self.owner, EditBatch(f"c-{self.id}", [edit]))
        assert answer.outcomes[0].outcome in ("applied", "settled"), answer

    async def place(self, *items: NewItem) -> str:
        command = PlaceOrder(self.id, "KRW", list(items) or [ITEM], "5")
        return (await self.orders.place(self.owner, command)).order_id

    async def step(self, order: str, to: Any) -> None:
        await self.orders.transition(self.owner, order, Transition(to))

    async def jobs(self, device: str = "kitchen-1") -> list[Job]:
        jobs, _ = await self.prints.jobs(Channel("device", self.id, device))
        return [one.job for one in jobs]

    async def held(self, agent: str = "a") -> None:
        await self.prints.hold(self.printer, agent)

    async def do(self, job: Job, step: Any, agent: str = "a", attempt: int = 1) -> Job:
        return await self.prints.step(self.printer, job.id, StepReport(step, agent, attempt))

    async def a_job(self) -> Job:
        """The job of a new order."""
        await self.route(KITCHEN)
        await self.place()
        await self.maker.round()
        (job,) = await self.jobs()
        return job


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    pool = await open_pool(
        database_url, size=6, command_timeout_s=10, name="prints", lock_wait_s=LOCK_WAIT_S
    )
    yield Store(pool)
    pool.terminate()


async def test_an_order_makes_a_job_of_its_printer(store: Store) -> None:
    await store.route(KITCHEN)
    order = await store.place()
    assert await store.maker.round() == 1
    (job,) = await store.jobs()
    assert (job.order, job.version, job.kind, job.state) == (order, 1, "order", "queued")
    assert store.committed == [str(store.printer)]


async def test_a_maker_of_plain_names_names_a_job_as_the_previous_release_finds_it(
    store: Store,
) -> None:
    await store.route(KITCHEN)
    order = await store.place()
    maker = JobMaker(store.documents, store.metrics, "plain")
    assert await maker.round() == 1
    # One of another release beside it makes the same job no second time.
    assert await store.maker.round() == 0
    (job,) = await store.jobs()
    assert job.id == f"{order}-1-1"
    await store.held()
    await store.do(job, "take", attempt=0)
    assert (await store.do(job, "done")).state == "done"


async def test_a_new_printer_does_not_print_what_was_ordered_before(store: Store) -> None:
    await store.place()
    await store.route(KITCHEN)
    await store.maker.round()
    assert await store.jobs() == []


async def test_what_was_ordered_before_a_maker_saw_the_printer_is_printed(store: Store) -> None:
    await store.maker.round()
    await store.route(KITCHEN)
    await store.place()
    await store.maker.round()
    assert len(await store.jobs()) == 1


@pytest.mark.parametrize("column", ["value", "body"])
async def test_a_printer_whose_rows_are_damaged_keeps_no_other_from_its_jobs(
    store: Store, column: str
) -> None:
    whole = Store(store.pool)
    for one in (store, whole):
        await one.route(KITCHEN)
    await store.maker.round()
    for one in (store, whole):
        await one.place()
    table, of_it = ("documents", "team") if column == "value" else ("channel_log", "store")
    damaged = f"UPDATE {table} SET {column} = '{{' WHERE channel = $1"
    await store.pool.execute(damaged, f"{of_it}:{store.id}")
    await store.maker.round()
    assert (len(await store.jobs()), len(await whole.jobs())) == (0, 1)
    assert store.metrics.not_made._value.get() >= 1


async def test_each_copy_is_a_job(store: Store) -> None:
    await store.route({"printers": {"kitchen-1": {"statuses": ["placed"], "copies": 3}}})
    await store.place()
    await store.maker.round()
    assert [job.copy for job in await store.jobs()] == [1, 2, 3]


async def test_changes_and_cancellations_are_jobs_in_the_order_in_which_they_came(
    store: Store,
) -> None:
    await store.route(KITCHEN)
    order = await store.place()
    await store.orders.change(store.owner, order, ChangeOrder(items=[ITEM, ITEM]))
    await store.step(order, "cancelled")
    await store.maker.round()
    assert [(job.kind, job.version) for job in await store.jobs()] == [
        ("order", 1), ("change", 2), ("cancel", 3),
    ]  # fmt: skip


async def test_two_printers_each_get_their_own(store: Store) -> None:
    await store.route(
        {
            "printers": {
                "kitchen-1": {"statuses": ["placed"], "stations": ["hot"]},
                "bar": {"statuses": ["placed"], "stations": ["cold"]},
            },
            "stations": {"hot": ["김밥"], "cold": ["맥주"]},
        }
    )
    await store.place(ITEM)
    await store.place(ITEM, NewItem("맥주", 1, 1))
    await store.maker.round()
    assert (len(await store.jobs()), len(await store.jobs("bar"))) == (2, 1)


async def test_makers_that_work_side_by_side_make_each_job_once(store: Store) -> None:
    await store.route(KITCHEN)
    await store.maker.round()
    for _ in range(20):
        await store.place()
    made = await asyncio.gather(*(store.another_maker().round() for _ in range(5)))
    while len(await store.jobs()) < 20:
        made.append(await store.another_maker().round())
    assert sum(made) == 20
    assert len({job.id for job in await store.jobs()}) == 20


async def test_a_store_that_prints_nothing_any_more_makes_no_jobs(store: Store) -> None:
    await store.route(KITCHEN)
    await store.maker.round()
    await store.route(None)
    await store.place()
    assert await store.maker.round() == 0
    await store.route(KITCHEN)
    assert await store.maker.round() == 0
    await store.place()
    assert await store.maker.round() == 1


async def test_an_event_that_cannot_be_read_stops_no_other(store: Store) -> None:
    await store.route(KITCHEN)
    await store.maker.round()
    await store.place()
    await store.pool.execute(
        "UPDATE channel_log SET body = 'damaged' WHERE channel = $1", f"store:{store.id}"
    )
    after = await store.place()
    await store.maker.round()
    assert [job.order for job in await store.jobs()] == [after]
    assert store.metrics.not_made._value.get() == 1


async def test_an_event_whose_ticket_cannot_be_laid_out_stops_no_other(store: Store) -> None:
    await store.route(KITCHEN)
    await store.maker.round()
    await store.place()
    # It is JSON and an order, but no ticket can expire after the last year.
    await store.pool.execute(
        'UPDATE channel_log SET body = regexp_replace(body, \'"occurred_at":"[^"]*"\','
        ' \'"occurred_at":"9999-12-31T23:59:59Z"\') WHERE channel = $1',
        f"store:{store.id}",
    )
    after = await store.place()
    await store.maker.round()
    assert [job.order for job in await store.jobs()] == [after]
    assert store.metrics.not_made._value.get() == 1


@pytest.mark.parametrize("damaged", ["{", "[]", "{}"])
async def test_a_damaged_job_keeps_no_other_of_its_printer_from_paper(
    store: Store, damaged: str
) -> None:
    await store.route(KITCHEN)
    await store.place()
    await store.maker.round()
    (lost,) = await store.jobs()
    await store.pool.execute(
        "UPDATE documents SET value = $2 WHERE key = $1", f"print.{lost.id}", damaged
    )
    after = await store.place()
    await store.maker.round()
    (job,) = await store.jobs()
    assert job.order == after
    assert not await has_earlier_job(store.pool, str(store.printer), job.seq, job.copy)
    await store.held()
    taken = await store.do(job, "take", attempt=0)
    assert (await store.do(taken, "done")).state == "done"
    # It is told once, however often the printer asks.
    assert store.metrics.not_made._value.get() == 1


async def test_while_a_printers_channel_is_full_its_orders_wait_in_the_log(store: Store) -> None:
    await store.route(KITCHEN)
    await store.maker.round()
    for _ in range(PRINT_JOBS + 5):
        await store.place()
    await store.maker.round()
    jobs = await store.jobs()
    assert len(jobs) == PRINT_JOBS
    await store.pool.execute(
        "UPDATE documents SET ends_at = now() - interval '1 s' WHERE key = ANY($1)",
        [f"print.{job.id}" for job in jobs],
    )
    await Ending(store.documents).round()
    await store.maker.round()
    assert len(await store.jobs()) == 5


async def test_the_definition_takes_every_part_of_printing(store: Store) -> None:
    await store.route(
        {
            "printers": {
                "k": {
                    "statuses": ["placed", "accepted"],
                    "stations": ["a"],
                    "copies": 2,
                    "language": "en",
                    "columns": 48,
                    "max_age_s": 60,
                    "media": "text",
                }
            },
            "stations": {"a": ["x"]},
            "time_zone": "Europe/Berlin",
        }
    )


async def test_who_does_not_hold_the_printer_takes_no_job(store: Store) -> None:
    job = await store.a_job()
    with pytest.raises(ConflictError, match="not held"):
        await store.do(job, "take")


async def test_one_agent_holds_a_printer_until_it_lets_go(store: Store) -> None:
    await store.held("a")
    with pytest.raises(ConflictError):
        await store.held("b")
    await store.prints.let_go(store.printer, "a")
    await store.held("b")


async def test_a_silent_agents_printer_is_another_agents(store: Store) -> None:
    job = await store.a_job()
    await store.prints.hold(store.printer, "a", held_s=0.0)
    await store.held("b")
    with pytest.raises(ConflictError):
        await store.do(job, "take", "a")
    assert (await store.do(job, "take", "b")).agent == "b"


async def test_of_two_who_take_a_job_at_once_it_is_one_attempt(store: Store) -> None:
    job = await store.a_job()
    await store.held()
    taken = await asyncio.gather(*(store.do(job, "take") for _ in range(5)))
    assert {(one.state, one.attempts) for one in taken} == {("sent", 1)}


async def test_a_job_that_there_is_not_is_not_found(store: Store) -> None:
    await store.held()
    with pytest.raises(NotFoundError):
        await store.prints.step(store.printer, "none", StepReport("take", "a"))


async def test_a_printed_job_goes_and_leaves_nothing(store: Store) -> None:
    job = await store.a_job()
    await store.held()
    await store.do(job, "take")
    assert (await store.do(job, "done")).state == "done"
    await store.pool.execute("UPDATE documents SET ends_at = now() WHERE ends_at IS NOT NULL")
    await Ending(store.documents).round()
    assert await store.jobs() == []
    assert await trim_jobs(store.pool, 0.0, 10) == 1


async def test_a_job_past_its_time_waits_for_a_person(store: Store) -> None:
    await store.pool.execute("UPDATE epoch SET started_at = now() - interval '1 hour'")
    await store.route({"printers": {"kitchen-1": {"statuses": ["placed"], "max_age_s": 30}}})
    await store.maker.round()
    store.orders = OrderService(
        store.pool, 4, lambda: utc_now() - timedelta(minutes=2), new_order_id, lambda _: None
    )
    await store.place()
    await store.maker.round()
    (job,) = await store.jobs()
    await store.held()
    late = await store.do(job, "take")
    assert (late.state, late.waits) == ("failed", True)
    await store.do(job, "again", "ann")
    assert (await store.do(job, "take")).repeat is False


async def waiting_since(store: Store) -> object:
    return await store.pool.fetchval(
        "SELECT waiting_since FROM printers WHERE store_id = $1", store.id
    )


async def test_a_printer_whose_jobs_wait_is_known_until_they_are_printed(store: Store) -> None:
    job = await store.a_job()
    assert await waiting_since(store) is not None
    await store.held()
    await store.do(job, "take")
    assert await waiting_since(store) is not None
    await store.do(job, "done")
    assert await waiting_since(store) is None


async def status(store: Store) -> dict[str, Any]:
    text = await store.pool.fetchval(
        "SELECT value FROM documents WHERE channel = $1 AND key = 'status'", str(store.printer)
    )
    found: dict[str, Any] = json.loads(text)
    return found


async def test_what_troubles_a_printer_is_a_document_of_it(store: Store) -> None:
    await store.presence.heard(store.printer, "a", ["paper end"])
    shown = await status(store)
    assert (shown["online"], shown["connection"], shown["troubles"]) == (True, "a", ["paper end"])


async def test_what_is_said_again_writes_nothing(store: Store) -> None:
    for _ in range(3):
        await store.presence.heard(store.printer, "a", [])
    assert store.committed == [str(store.printer)]


async def test_a_printer_that_nobody_holds_any_more_is_offline(store: Store) -> None:
    await store.prints.hold(store.printer, "a", held_s=0.0)
    await store.presence.heard(store.printer, "a", [])
    assert await store.presence.round() == 1
    assert (await status(store))["online"] is False
    assert await store.presence.round() == 0


async def test_who_lets_go_speaks_for_itself_only(store: Store) -> None:
    await store.presence.heard(store.printer, "b", [])
    await store.presence.gone(store.printer, "a")
    assert (await status(store))["online"] is True
    await store.presence.gone(store.printer, "b")
    assert (await status(store))["online"] is False


async def test_an_order_shows_on_which_printers_it_is_printed_also_when_the_job_is_gone(
    store: Store,
) -> None:
    reached = Reached(store.pool, 10)
    job = await store.a_job()
    (printer,) = (await reached.of(store.id, job.order)).printers
    assert (printer.device, printer.state, printer.printed_at) == ("kitchen-1", "queued", None)
    await store.held()
    await store.do(job, "take")
    await store.do(job, "done")
    await store.pool.execute(
        "DELETE FROM documents WHERE channel = $1 AND key = $2",
        str(store.printer),
        f"print.{job.id}",
    )
    (printer,) = (await reached.of(store.id, job.order)).printers
    assert printer.state == "printed"
    assert printer.printed_at is not None
    assert (await reached.of(store.id, await store.place())).printers == []


async def test_the_tickets_of_many_long_orders_leave_a_printer_room_for_its_own_documents(
    store: Store,
) -> None:
    await store.route(KITCHEN)
    await store.maker.round()
    items = [NewItem("김밥" * 20, 1, 3500, note="n" * 40)] * 30
    for _ in range(50):  # as many as one transaction reads
        await store.place(*items)
    await store.maker.round()
    waiting = [len(canonical(job.value)) for job in await store.jobs()]
    assert max(waiting) < MAX_SHOWN_VALUE_BYTES, "a snapshot shows these"
    assert PRINT_JOB_BYTES <= sum(waiting) < PRINT_JOB_BYTES + max(waiting)
    await store.pool.execute(
        "UPDATE documents SET ends_at = now() - interval '1 s' WHERE key LIKE 'print.%'"
    )
    await Ending(store.documents).round()
    await store.maker.round()
    assert len(await store.jobs()) == 50 - len(waiting), "the others have waited in the log"
