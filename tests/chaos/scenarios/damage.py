"""Damaged rows, the worst edits, and a row lock for which a command has to wait.

Each part is run even if an earlier one has failed, so that a run reports all failures. The damaged
rows are repaired at the end, as by a restore of these rows.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import asyncpg
import httpx

from tests.chaos.runner import Field, NotInjectedError, Scenario
from tests.chaos.scenarios.poison import INBOUND, all_alive, command
from tests.chaos.site import Site
from tests.chaos.ward import PARTITIONS, producer
from tests.chaos.worst import order_of

_SYNCS_BESIDE: Final = 10
_HELD_S: Final = 20.0
_CUT: Final = "left({column}, length({column}) - 1)"
_NO_TEXT: Final = "'\\xff'::bytea::text"
_CAST: Final = "CREATE CAST (bytea AS text) WITHOUT FUNCTION"
_HEAD: Final = "SELECT FROM channel_heads WHERE channel = $1 FOR UPDATE"


@dataclass(slots=True)
class _Pair:
    """Two stores of one owner; the rows of the first one are damaged."""

    ground: Field
    http: httpx.AsyncClient
    name: str = field(default_factory=lambda: uuid.uuid4().hex[:6])

    @property
    def site(self) -> Site:
        return self.ground.site

    @property
    def stores(self) -> tuple[str, str]:
        return f"damaged-{self.name}", f"whole-{self.name}"

    @property
    def owner(self) -> dict[str, str]:
        token = self.site.token(f"owner-{self.name}", "owner", *self.stores)
        return {"authorization": f"Bearer {token}"}

    async def place(self, store: str) -> str:
        answer = await self.http.post(
            "/v1/orders", json=order_of(store, 1, "row"), headers=self.owner
        )
        _expect(answer.status_code == 201, f"an order is taken: {answer.status_code}")
        return str(answer.json()["id"])

    async def sync(self, *asked: tuple[str, int | None]) -> dict[str, Any]:
        """The channels in a sync's answer; other syncs are sent at once, to share its read."""
        body = {"channels": dict(asked)}
        beside = {"channels": {asked[-1][0]: asked[-1][1]}}
        answers = await asyncio.gather(
            *(
                self.http.post("/v1/sync", json=one, headers=self.owner)
                for one in [body] + [beside] * _SYNCS_BESIDE
            )
        )
        statuses = sorted({answer.status_code for answer in answers})
        _expect(statuses == [200], f"syncs are answered: {statuses}")
        try:
            found = [answer.json() for answer in answers]
        except ValueError as error:
            raise NotInjectedError(f"each answer is JSON: {error}") from error
        return {one["channel"]: one for one in found[0]["channels"]}

    async def edit(self, *edits: dict[str, Any]) -> list[str]:
        """Send edits of a new client. Returns their outcomes."""
        numbered = [{"n": n, **edit} for n, edit in enumerate(edits, 1)]
        body = {"client": uuid.uuid4().hex, "edits": numbered}
        answer = await self.http.post("/v1/edits", json=body, headers=self.owner)
        _expect(answer.status_code == 200, f"edits are answered: {answer.status_code}")
        return [one["outcome"] for one in answer.json()["outcomes"]]


def _expect(holds: bool, what: str) -> None:
    if not holds:
        raise NotInjectedError(what)


def _wait(store: str, minutes: int = 5) -> dict[str, Any]:
    return {
        "channel": f"public:{store}", "key": "waiting-time", "do": {"set": {"value": minutes}}
    }  # fmt: skip


@asynccontextmanager
async def _damaged(
    pair: _Pair, table: str, column: str, where: str, to: str
) -> AsyncIterator[None]:
    """Damage a value for the time of a block."""
    ledger = pair.site.ledger
    ((value,),) = await ledger.fetch(f"SELECT {column} FROM {table} WHERE {where}")
    damaged = to.format(column=column)
    await ledger.run(f"UPDATE {table} SET {column} = {damaged} WHERE {where}")
    try:
        yield
    finally:
        await ledger.run(f"UPDATE {table} SET {column} = $1 WHERE {where}", value)


async def _a_log_row(pair: _Pair) -> str:
    damaged, whole = pair.stores
    for store in (damaged, whole):
        for _ in range(2):
            await pair.place(store)

    async def published() -> bool:
        left = "SELECT count(*) FROM outbox WHERE store_id = $1"
        return (await pair.site.ledger.fetch(left, damaged))[0][0] == 0

    await pair.ground.until(published, "the orders are published", 30)
    where = f"channel = 'store:{damaged}' AND seq = 2"
    async with _damaged(pair, "channel_log", "body", where, _CUT):
        found = await pair.sync((f"store:{damaged}", 1), (f"store:{whole}", 1))
    _expect(found[f"store:{damaged}"]["snapshot"] is not None, "its channel begins anew")
    _expect(len(found[f"store:{whole}"]["events"]) == 1, "the other one goes on")
    return "an event that is no JSON"


async def _an_order(pair: _Pair) -> str:
    damaged, whole = pair.stores
    where = f"id = '{await pair.place(damaged)}'"
    await pair.place(whole)
    async with _damaged(pair, "orders", "owner_view", where, _CUT):
        found = await pair.sync((f"store:{damaged}", None), (f"store:{whole}", None))
    _expect(set(found) == {f"store:{whole}"}, f"only the whole one is given: {sorted(found)}")
    return "an order that is no JSON"


async def _documents(pair: _Pair) -> str:
    damaged, whole = pair.stores
    _expect(await pair.edit(_wait(damaged), _wait(whole)) == ["applied"] * 2, "edits take effect")
    with contextlib.suppress(asyncpg.DuplicateObjectError):
        await pair.site.ledger.run(_CAST)
    where = f"channel = 'public:{damaged}' AND key = 'waiting-time'"
    for to in (_CUT, _NO_TEXT):
        async with _damaged(pair, "documents", "value", where, to):
            found = await pair.sync((f"public:{damaged}", None), (f"public:{whole}", None))
            outcomes = await pair.edit(_wait(damaged, 6), _wait(whole, 6))
        given = [found[f"public:{store}"]["snapshot"]["documents"][0] for store in pair.stores]
        _expect(["value" in one for one in given] == [False, True], "only its value is left out")
        _expect(outcomes[0] == "refused", f"an edit of it is refused: {outcomes}")
        # It names no base, so it may also be put aside: that is an outcome, too.
        _expect(outcomes[1] != "refused", f"the next edit goes on: {outcomes}")
    return "values that are no JSON or no text, with edits of them"


async def _the_worst_edits(pair: _Pair) -> str:
    damaged, _ = pair.stores
    deep: dict[str, Any] = {}
    for _ in range(31):
        deep = {"a": deep}
    good = _wait(damaged)
    worst: list[dict[str, Any]] = [
        good | {"channel": "\0"},
        good | {"key": "\0"},
        good | {"base": 2**31},
        good | {"base": 2**63 - 1},
        good | {"do": {"set": {"value": "🍲" * 15_000}}},
        good | {"do": {"set": deep}},
        good | {"do": {"merge": {"value": "\0"}}},
        good | {"do": {"patch": [{"op": "test", "path": "/value", "value": 1}] * 400}},
        good | {"do": {"patch": [{"op": {}, "path": "/value", "value": 1}]}},
        good | {"do": {"patch": [{"op": "add", "path": 5, "value": 1}]}},
        good | {"do": {"add": {"/value": 2**53 - 1}}},
        good | {"do": {"call": {"name": "x" * 300, "arguments": None}}},
        good | {"made_at": "9999-12-31T23:59:59Z"},
        good | {"metadata": {"note": "\0"}},
        good | {"seen": {"/" * 1_000: None}},
    ]
    for edit in worst:
        outcomes = await pair.edit(edit, good)
        _expect(outcomes[1] != "refused", f"what follows {str(edit)[:80]} is settled: {outcomes}")
    bodies = [b"[" * 100_000, b'{"client":"\\u0000","edits":[]}', bytes(64), b'{"client":"x"}']
    for body in bodies:
        answer = await pair.http.post("/v1/edits", content=body, headers=pair.owner)
        _expect(answer.status_code < 500, f"a bad body is refused: {answer.status_code}")
    return f"{len(worst)} edits and {len(bodies)} bodies of the worst kind"


async def _a_held_row(pair: _Pair) -> str:
    """A command of the first partition waits for a row; commands of the others are applied."""
    damaged, whole = pair.stores
    await pair.place(damaged)
    references = [f"held-{uuid.uuid4()}" for _ in range(PARTITIONS)]

    async def applied(wanted: list[str]) -> bool:
        return len(await pair.site.ledger.by_reference(wanted)) == len(wanted)

    async with _held(pair.site, f"store:{damaged}"), producer(pair.site) as kafka:
        for number, reference in enumerate(references):
            store = whole if number else damaged
            await kafka.send_and_wait(
                INBOUND, command(order_of(store, 1, reference)), partition=number
            )
        for number in range(1, PARTITIONS):  # again, after the first command has begun to wait
            reference = f"held-{uuid.uuid4()}"
            references.append(reference)
            await kafka.send_and_wait(
                INBOUND, command(order_of(whole, 1, reference)), partition=number
            )
        await pair.ground.until(
            lambda: applied(references[1:]), "commands of other partitions are applied", _HELD_S
        )
        _expect(not await applied(references[:1]), "the row is held")
    await pair.ground.until(lambda: applied(references), "what waited is applied", 60)
    return "a row held behind a command"


@asynccontextmanager
async def _held(site: Site, channel: str) -> AsyncIterator[None]:
    holder = await asyncpg.connect(site.stack.addresses.database)
    try:
        async with holder.transaction():
            await holder.execute(_HEAD, channel)
            yield
    finally:
        await holder.close()


_PARTS: Final[tuple[Callable[[_Pair], Awaitable[str]], ...]] = (
    _a_log_row,
    _an_order,
    _documents,
    _the_worst_edits,
    _a_held_row,
)


async def _damage(ground: Field) -> str:
    said: list[str] = []
    failed: list[str] = []
    async with httpx.AsyncClient(base_url=ground.site.core_url, timeout=30) as http:
        for part in _PARTS:
            try:
                said.append(await part(_Pair(ground, http)))
            except NotInjectedError as error:
                failed.append(f"{part.__name__}: {error}")
    if failed:
        raise NotInjectedError("; ".join(failed))
    await all_alive(ground)
    return "; ".join(said)


SCENARIOS = [
    Scenario(
        "damaged-rows",
        "rows that are damaged, the worst edits, and a row that is held behind a command",
        _damage,
        needs_kafka=True,
    )
]
