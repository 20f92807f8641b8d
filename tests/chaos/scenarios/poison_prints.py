"""Orders of which no ticket can be made, and a print job that is damaged.

Tickets behind them at the same printer, and those of other printers, must come out on paper.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

import asyncpg
import httpx

from tests.chaos.runner import Field, NotInjectedError
from tests.chaos.site import log_lines
from tests.chaos.ward import Ward
from tests.star_printer import StarPrinter

_PRINTERS: Final = ("bar", "kitchen")
_HOLD: Final = "SELECT FROM printers WHERE store_id = $1 FOR UPDATE"
_IS_WATCHED: Final = "SELECT count(*) FROM printers WHERE store_id = $1 AND seq IS NOT NULL"
_UNPUBLISHED: Final = "SELECT count(*) FROM outbox WHERE store_id = $1"
_BODY: Final = "SELECT body FROM channel_log WHERE channel = $1 AND seq = $2"
_SET_BODY: Final = "UPDATE channel_log SET body = $3 WHERE channel = $1 AND seq = $2"
_NO_JSON: Final = "UPDATE documents SET value = '{' WHERE channel = $1 AND key = $2"
_SET: Final = "UPDATE documents SET value = $3 WHERE channel = $1 AND key = $2"
_ROUTING: Final = "SELECT value FROM documents WHERE channel = $1 AND key = 'printing'"
_JOBS: Final = (
    "SELECT key, value FROM documents"
    " WHERE channel = $1 AND key LIKE 'print.%' AND value IS NOT NULL"
)
_TIME: Final = '"occurred_at":"'
_NO_LATER: Final = "9999-12-31T23:59:59Z"
"""A ticket of this time cannot be laid out: the time when it is too old would be after all time."""


@dataclass(frozen=True, slots=True)
class _Kitchen:
    """A store with two printers that print all of its orders."""

    ground: Field
    ward: Ward
    store: str

    def channel(self, printer: str) -> str:
        return f"device:{self.store}/{printer}"

    async def open(self) -> None:
        """Begin to print all orders."""
        value = {"printers": {name: {"statuses": ["placed"]} for name in _PRINTERS}}
        edit = {"n": 1, "channel": f"team:{self.store}", "key": "printing", "do": {"set": value}}
        body = {"client": uuid.uuid4().hex, "edits": [edit]}
        answer = await self.ward.answered("/v1/edits", body, self.ward.owner(self.store))
        if answer.status_code != 200 or answer.json()["outcomes"][0]["outcome"] != "applied":
            raise NotInjectedError(f"printers are named: {answer.text}")

        async def watched() -> bool:
            [(count,)] = await self.ward.site.ledger.fetch(_IS_WATCHED, self.store)
            return count == len(_PRINTERS)

        await self.ground.until(watched, "Core prints for new printers")

    async def star(self, printer: str) -> StarPrinter:
        """Register one of them as a Star printer."""
        path = f"/v1/stores/{self.store}/devices/{printer}"
        answer = await self.ward.http.put(path, json={}, headers=self.ward.owner(self.store))
        if answer.status_code != 201:
            raise NotInjectedError(f"a printer is registered: {answer.status_code}")
        made = answer.json()
        url = f"{self.ward.site.core_url}/cloudprnt/{made['user']}.{made['password']}/printer"
        return StarPrinter(url, self.ward.http)

    async def has_jobs(self, count: int) -> bool:
        """Whether each printer has so many jobs."""
        found = [await self.jobs(printer) for printer in _PRINTERS]
        return [len(jobs) for jobs in found] == [count] * len(_PRINTERS)

    async def jobs(self, printer: str) -> list[tuple[object, ...]]:
        """The keys and values of a printer's jobs."""
        return await self.ward.site.ledger.fetch(_JOBS, self.channel(printer))


async def prints(ground: Field, ward: Ward) -> str:
    """Damage orders before their tickets are made, a job before it is printed, and a store's list
    of printers."""
    site, ledger = ward.site, ward.site.ledger
    # In this order Core looks after them: the store that works comes last.
    unread, bad, good = (
        _Kitchen(ground, ward, f"{ward.stores[0]}-prints-{number}") for number in range(3)
    )
    for one in (unread, bad, good):
        await one.open()
    [(routing,)] = await ledger.fetch(
        "SELECT value FROM documents WHERE channel = $1 AND key = 'printing'",
        f"team:{unread.store}",
    )
    await ledger.run(_NO_JSON, f"team:{unread.store}", "printing")
    try:
        async with _damaged_orders(ground, bad):
            await ward.place(unread.store)
            await ward.place(good.store)
            await ground.until(partial(good.has_jobs, 1), "another printer's tickets are made", 30)
        await ground.until(
            partial(bad.has_jobs, 1), "a ticket behind those that cannot be made is made", 30
        )
        await _pass_a_damaged_job(ground, bad)
    finally:
        await ledger.run(_SET, f"team:{unread.store}", "printing", routing)
    await ground.until(partial(unread.has_jobs, 1), "the repaired store's tickets are made", 30)

    ways: set[tuple[object, object]] = {
        (bad.channel(name), seq) for name in _PRINTERS for seq in _DAMAGE
    }
    ways |= {(unread.channel(name), None) for name in _PRINTERS}
    cores = [p for p in site.stack.processes if p.name.startswith("core")]
    for what, wanted in (
        ("print_job_not_made", ways),
        ("print_job_damaged", {(bad.channel(_PRINTERS[0]), None)}),
    ):
        lines = [line for core in cores for line in log_lines(core, what)]
        told = {(line["printer"], line.get("seq")) for line in lines}
        if not wanted <= told:
            raise NotInjectedError(f"Core tells of each ticket that it cannot make: of {told}")
    if not await site.metrics("core", "yabam_core_unmade_prints_total"):
        raise NotInjectedError("tickets that cannot be made are counted")
    return "2 orders that cannot be printed, a damaged job, and a damaged list of printers"


@asynccontextmanager
async def _damaged_orders(ground: Field, kitchen: _Kitchen) -> AsyncIterator[None]:
    """Place an order that is no JSON, one that cannot be laid out and a good one.

    No ticket of them is made until the end of the block, as the rows of their printers are locked.
    """
    ward, ledger, channel = kitchen.ward, kitchen.ward.site.ledger, f"store:{kitchen.store}"

    async def published() -> bool:
        return (await ledger.fetch(_UNPUBLISHED, kitchen.store))[0][0] == 0

    holder = await asyncpg.connect(ward.site.stack.addresses.database)
    try:
        async with holder.transaction():
            await holder.execute(_HOLD, kitchen.store)
            for _ in range(3):
                await ward.place(kitchen.store)
            await ground.until(published, "orders are published before they are damaged", 30)
            for seq in (1, 2):
                [(body,)] = await ledger.fetch(_BODY, channel, seq)
                await ledger.run(_SET_BODY, channel, seq, _DAMAGE[seq](str(body)))
            yield
    finally:
        await holder.close()


def _without_its_end(body: str) -> str:
    return body[:-1]


def _at_the_end_of_time(body: str) -> str:
    begin = body.index(_TIME) + len(_TIME)
    return body[:begin] + _NO_LATER + body[body.index('"', begin) :]


_DAMAGE: Final = {1: _without_its_end, 2: _at_the_end_of_time}


async def _pass_a_damaged_job(ground: Field, kitchen: _Kitchen) -> None:
    """Damage the only job of a printer: the next one must come out on paper."""
    ward, printer = kitchen.ward, _PRINTERS[0]
    star = await kitchen.star(printer)
    [(key, value)] = await kitchen.jobs(printer)
    await ward.site.ledger.run(_NO_JSON, kitchen.channel(printer), key)
    try:
        await ward.place(kitchen.store)

        async def printed() -> bool:
            with contextlib.suppress(httpx.HTTPStatusError):
                await star.cycle()
            return bool(star.papers)

        await ground.until(printed, "a ticket behind a damaged job is printed", 30)
    finally:
        await ward.site.ledger.run(_SET, kitchen.channel(printer), key, value)

    async def both() -> bool:
        await star.cycle()
        return len(star.papers) == 2

    await ground.until(both, "a repaired job is printed", 30)
