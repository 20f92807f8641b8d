"""Guests' phones over a real Postgres and a push service of our own: told of what is ready at their
table, and of nothing once their party has left."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
from msgspec import structs
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from client_sdk.contract.channel import Channel
from core_api.access.callers import Caller
from core_api.errors import ForbiddenError, InvalidError, NotFoundError, TooManyDevicesError
from core_api.orders.lifecycle import NewItem, PlaceOrder, Transition
from core_api.orders.service import OrderService
from core_api.postgres import take_around_damage
from core_api.postgres.pool import Pool, open_pool
from core_api.push import guests as guests_module
from core_api.push import sender as sender_module
from core_api.push.due_guests import DueGuest, DueGuests
from core_api.push.guests import GuestPhones, trim_guest_phones
from core_api.push.metrics import PushMetrics
from core_api.push.sender import PushSender
from core_api.push.subscriptions import GuestPush
from core_api.revocations.statements import NewRevocation, revoke
from core_api.revocations.watching import Revoked
from core_api.webhooks.posting import Poster
from core_api.wiring import new_order_id, utc_now
from server_common.limits import (
    GUEST_PUSHES,
    GUEST_PUSHES_OF_TABLE,
    PUSH_ORDERS_NAMED,
    PUSHES_AT_ONCE,
)
from server_common.revocations.records import RevocationKind, key_of
from tests.integration.core_api.damaged_rows import damage
from tests.integration.core_api.push_parts import KEYS, owner_of, telling
from tests.integration.core_api.webhook_parts import LOOPBACK, new_store
from tests.push_service import PushService
from tests.webhook_receiver import status

pytestmark = pytest.mark.xdist_group("webhooks")


class Room:
    """Tables, and the phones at them."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.orders = OrderService(pool, 4, utc_now, new_order_id, lambda _: None)
        self.phones = GuestPhones(pool, LOOPBACK)

    def due(self) -> DueGuests:
        """Who is to be told now, as a process that has just started finds it."""
        return DueGuests(self.pool, Revoked(self.pool, time.time, time.monotonic))

    async def place(self, store: str, table: str = "5", upto: str = "preparing") -> str:
        """Place an order and take it so far; its number."""
        wanted = PlaceOrder(store, "KRW", [NewItem("김밥", 1, 3500)], table_id=table)
        placed = await self.orders.place(owner_of(store), wanted)
        for step in ("accepted", "preparing", "ready"):
            await self.orders.transition(owner_of(store), placed.order_id, Transition(step))
            if step == upto:
                break
        return placed.order_id

    async def ready(self, store: str, order_id: str) -> str:
        """An order is ready; its number as the page shows it."""
        await self.orders.transition(owner_of(store), order_id, Transition("ready"))
        return order_id[-4:].upper()

    async def leave(self, store: str, table: str = "5", ago_s: float = 0.0) -> None:
        """The party leaves, so long ago."""
        await self.pool.execute(
            "INSERT INTO documents (channel, key, version, schema, facts, made_at, updated_at) "
            "VALUES ($1, 'party', 1, 1, '{}', now(), now() - make_interval(secs => $2)) "
            "ON CONFLICT (channel, key) DO UPDATE SET updated_at = excluded.updated_at",
            f"party:{store}/{table}",
            ago_s,
        )

    async def until_failed(self, store: str) -> GuestPush:
        """Wait until it is recorded that an attempt failed. Returns the store's only phone."""
        async with asyncio.timeout(60):
            while (found := (await self.phones.list(store))[0]).failure is None:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        return found

    async def kept(self, store: str) -> list[str]:
        """The phones of a store that Core keeps."""
        rows = await self.pool.fetch(
            "SELECT device FROM guest_pushes WHERE store_id = $1 ORDER BY device", store
        )
        return [row["device"] for row in rows]


def guest(store: str, table: str = "5", age_s: int = 60, lifetime_s: int = 3600) -> Caller:
    """Who came so long ago."""
    made = int(time.time()) - age_s
    where = Channel("table", store, table)
    name = f"{store}-{table}"
    return Caller(
        f"guest-{name}", "table", table=where, issued_at=made, expires_at=made + lifetime_s,
        token=key_of("token", f"t-{name}"), session=key_of("session", f"s-{name}"),
    )  # fmt: skip


REVOKED: dict[RevocationKind, str] = {
    "token": "t-{}-5",
    "session": "s-{}-5",
    "subject": "guest-{}-5",
}


async def revoked(
    room: Room, kind: RevocationKind, store: str, until: datetime | None = None
) -> None:
    """The guest at table 5 is signed out."""
    name = REVOKED[kind].format(store)
    before = int(time.time()) if kind == "subject" else 0
    await revoke(room.pool, NewRevocation(kind, name, before, until, "ops-1"))


@pytest.fixture
async def room(shared_database: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Room]:
    monkeypatch.setattr(sender_module, "EVERY_S", 0.02)
    pool = await open_pool(shared_database, size=8, command_timeout_s=10, name="test")
    yield Room(pool)
    await pool.execute("DELETE FROM guest_pushes")
    await pool.execute("DELETE FROM revocations")
    pool.terminate()


def sender(room: Room, poster: Poster) -> PushSender[DueGuest]:
    """A sender over the database of these tests."""
    metrics = PushMetrics(CollectorRegistry())
    return PushSender("guests", room.due(), poster, KEYS, metrics, utc_now)


def sending(room: Room) -> AbstractAsyncContextManager[PushMetrics]:
    """A sender for the time of a block."""
    return telling("guests", room.due())


async def test_a_phone_is_told_the_numbers_of_what_is_ready_and_nothing_else(
    room: Room, service: PushService
) -> None:
    store = new_store()
    order = await room.place(store)
    await room.phones.put(guest(store), "phone", service.browser().subscription)
    async with sending(room):
        number = await room.ready(store, order)
        await service.until(lambda s: len(s.taken) == 1)
        # Each is told of once.
        second = await room.ready(store, await room.place(store))
        await service.until(lambda s: len(s.taken) == 2)
    assert [pushed.told for pushed in service.taken] == [
        {"ready": [number], "language": "ko"},
        {"ready": [second], "language": "ko"},
    ]


async def test_what_comes_to_be_ready_at_once_is_one_message_that_names_the_newest(
    room: Room, service: PushService
) -> None:
    store = new_store()
    await room.phones.put(guest(store), "phone", service.browser().subscription)
    orders = [await room.place(store) for _ in range(PUSH_ORDERS_NAMED + 1)]
    numbers = [await room.ready(store, order) for order in orders]
    async with sending(room):
        await service.until(lambda s: len(s.taken) == 1)
    assert service.taken[0].told["ready"] == numbers[:0:-1]


async def test_a_phone_is_told_nothing_of_another_table_nor_of_what_was_ready_before(
    room: Room, service: PushService
) -> None:
    store = new_store()
    await room.place(store, upto="ready")
    for table in ("5", "6"):
        await room.phones.put(guest(store, table), "phone", service.browser().subscription)
    number = await room.ready(store, await room.place(store, "6"))
    async with sending(room):
        await service.until(lambda s: len(s.taken) == 1)
    assert service.asked == ["/push/1"]
    assert service.taken[0].told["ready"] == [number]


async def test_what_was_served_before_its_phone_could_be_told_is_not_told(
    room: Room, service: PushService
) -> None:
    store = new_store()
    await room.phones.put(guest(store), "phone", service.browser().subscription)
    served = await room.place(store, upto="ready")
    await room.orders.transition(owner_of(store), served, Transition("served"))
    number = await room.ready(store, await room.place(store))
    async with sending(room):
        await service.until(lambda s: len(s.taken) == 1)
    assert service.taken[0].told["ready"] == [number]


async def test_a_phone_of_a_party_that_has_left_hears_nothing_of_the_next_one(
    room: Room, service: PushService
) -> None:
    store = new_store()
    await room.phones.put(guest(store), "theirs", service.browser().subscription)
    await room.leave(store)
    poster = Poster(LOOPBACK)
    # Not even before it is forgotten.
    await room.ready(store, await room.place(store))
    await sender(room, poster).look()
    await room.phones.put(guest(store, age_s=-1), "ours", service.browser().subscription)
    await room.ready(store, await room.place(store))
    await sender(room, poster).look()
    await service.until(lambda s: len(s.taken) == 1)
    await poster.close()
    assert service.asked == ["/push/1"]
    await room.due().settle()
    assert await room.kept(store) == ["ours"]


async def test_a_phone_hears_nothing_once_its_guest_s_token_has_ended(
    room: Room, service: PushService
) -> None:
    store, other = new_store(), new_store()
    ended = guest(store, age_s=3600, lifetime_s=3599)
    await room.phones.put(ended, "phone", service.browser().subscription)
    await room.phones.put(guest(other), "phone", service.browser().subscription)
    for place in (store, other):
        await room.ready(place, await room.place(place))
    poster = Poster(LOOPBACK)
    # Not even before it is forgotten.
    await sender(room, poster).look()
    await service.until(lambda s: len(s.taken) == 1)
    await poster.close()
    assert service.asked == ["/push/1"]
    await room.due().settle()
    assert await room.kept(store) == []


@pytest.mark.parametrize("kind", REVOKED)
async def test_a_phone_hears_nothing_once_its_guest_s_token_was_revoked(
    room: Room, service: PushService, kind: RevocationKind
) -> None:
    store = new_store()
    for table in ("5", "6"):
        await room.phones.put(guest(store, table), "phone", service.browser().subscription)
        await room.ready(store, await room.place(store, table))
    poster = Poster(LOOPBACK)
    await revoked(room, kind, store)
    await sender(room, poster).look()
    await service.until(lambda s: len(s.taken) == 1)
    await poster.close()
    assert service.asked == ["/push/1"]
    rows = await room.pool.fetch("SELECT table_id FROM guest_pushes WHERE store_id = $1", store)
    assert [row["table_id"] for row in rows] == ["6"]


@pytest.mark.parametrize("kind", REVOKED)
async def test_a_phone_of_a_revoked_token_is_forgotten_though_nothing_is_ready(
    room: Room, service: PushService, kind: RevocationKind
) -> None:
    store = new_store()
    for table in ("5", "6"):
        await room.phones.put(guest(store, table), table, service.browser().subscription)
    due = room.due()
    await due.settle()
    assert await room.kept(store) == ["5", "6"]
    await revoked(room, kind, store)
    await due.settle()
    assert await room.kept(store) == ["6"]


async def test_a_phone_goes_on_when_its_guest_has_a_new_token(
    room: Room, service: PushService
) -> None:
    store, wanted = new_store(), service.browser().subscription
    old, due = guest(store), room.due()
    new = replace(old, token=key_of("token", "new"), session="")
    await room.phones.put(old, "phone", wanted)
    await room.phones.put(new, "phone", wanted)
    for kind in ("token", "session"):
        await revoked(room, kind, store)
    await due.settle()
    assert await room.kept(store) == ["phone"]
    # And one that signed in after all of its subject's tokens were revoked.
    later = replace(new, signed_in_at=int(time.time()) + 5)
    await room.phones.put(later, "phone", wanted)
    await revoked(room, "subject", store)
    await due.settle()
    assert await room.kept(store) == ["phone"]


async def test_an_owner_sees_the_phones_of_the_store_s_guests_and_ends_one(
    room: Room, service: PushService
) -> None:
    store, endpoints = new_store(), []
    for place, table in ((store, "6"), (store, "5"), (new_store(), "5")):
        wanted = service.browser().subscription
        endpoints.append(wanted.endpoint)
        await room.phones.put(guest(place, table), "phone", wanted)
    shown = await room.phones.list(store)
    assert [(one.table, one.device) for one in shown] == [("5", "phone"), ("6", "phone")]
    assert {one.service for one in shown} <= {urlsplit(one).netloc for one in endpoints}
    await room.phones.remove_from(Channel("table", store, "5"), "phone")
    with pytest.raises(NotFoundError, match="no phone phone"):
        await room.phones.remove_from(Channel("table", store, "5"), "phone")
    assert [one.table for one in await room.phones.list(store)] == ["6"]


async def test_a_phone_that_sits_at_another_table_is_told_of_that_one_alone(
    room: Room, service: PushService
) -> None:
    store, wanted = new_store(), service.browser().subscription
    await room.phones.put(guest(store, "5"), "phone", wanted)
    await room.phones.put(guest(store, "6"), "phone", wanted)
    rows = await room.pool.fetch("SELECT table_id FROM guest_pushes WHERE store_id = $1", store)
    assert [row["table_id"] for row in rows] == ["6"]


async def test_a_table_has_so_many_phones_and_those_who_left_take_no_room(
    room: Room, service: PushService
) -> None:
    store = new_store()
    for number in range(GUEST_PUSHES_OF_TABLE):
        phone = service.browser().subscription
        await room.phones.put(guest(store), f"phone-{number}", phone)
    with pytest.raises(TooManyDevicesError, match="phones of a table"):
        await room.phones.put(guest(store), "more", service.browser().subscription)
    # Whoever is told already goes on, also in another language.
    await room.phones.put(guest(store), "phone-11", structs.replace(phone, language="en"))
    await room.phones.put(guest(store, "6"), "other", service.browser().subscription)
    await room.leave(store)
    await room.phones.put(guest(store, age_s=-1), "more", service.browser().subscription)
    assert await room.kept(store) == ["more", "other"]


FILL = """
INSERT INTO guest_pushes (store_id, table_id, device, endpoint, origin, p256dh, auth, language,
    subject, issued_at, expires_at, epoch, seq)
SELECT 'full-' || n / 120, (n / 4 % 30)::text, 'phone-' || n, 'https://push.example/' || n,
    'https://push.example', 'key', 'secret', 'ko', 'guest', extract(epoch FROM now())::bigint,
    now() + interval '1 hour', e.epoch, 0
FROM generate_series(1, $1::int) n, epoch e
"""


class Explaining:
    """A pool that keeps how the statement that takes phones was carried out."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.scans: list[dict[str, Any]] = []

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[Explaining]:
        """A connection that does so."""
        yield self

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """None: the statement is carried out by itself."""
        yield

    async def fetch(self, statement: str, *arguments: Any) -> Any:
        explain = f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {statement}"
        async with self._pool.acquire() as connection:
            transaction = connection.transaction()
            await transaction.start()
            ((plan,),) = await connection.fetch(explain, *arguments)
            await transaction.rollback()
        self.scans += scans_of(msgspec.json.decode(plan)[0]["Plan"])
        return await self._pool.fetch(statement, *arguments)


def scans_of(plan: dict[str, Any]) -> list[dict[str, Any]]:
    """Where a plan reads the phones."""
    is_one = plan.get("Relation Name") == "guest_pushes" and "Scan" in plan["Node Type"]
    return [plan] * is_one + [one for part in plan.get("Plans", ()) for one in scans_of(part)]


@pytest.mark.parametrize("analyzed", [False, True])
async def test_a_look_reads_the_phones_of_tables_with_something_ready_however_many_there_are(
    room: Room, service: PushService, analyzed: bool
) -> None:
    # Behind all others: a plan that reads the index from its beginning finds the first at once.
    store = f"full-z{new_store()}"
    # Postgres may have analyzed the table while it was empty, in an earlier test, or may do it now.
    # With that, it reads all of them, until it has analyzed again: after 50 phones and a minute.
    await room.pool.execute("ALTER TABLE guest_pushes SET (autovacuum_enabled = false)")
    await room.pool.execute("TRUNCATE guest_pushes")
    await room.pool.execute(FILL, GUEST_PUSHES - 1)
    await room.phones.put(guest(store), "phone", service.browser().subscription)
    await room.ready(store, await room.place(store))
    if analyzed:
        await room.pool.execute("ANALYZE guest_pushes")
    explaining: Any = Explaining(room.pool)
    due = DueGuests(explaining, Revoked(room.pool, time.time, time.monotonic))
    (found,) = await due.take([], PUSHES_AT_ONCE, failing=False)
    assert found.store_id == store
    for scan in explaining.scans:
        read = scan["Actual Rows"] + scan.get("Rows Removed by Filter", 0)
        assert read * scan["Actual Loops"] < 2
    assert explaining.scans


async def test_there_is_room_for_so_many_phones_in_all(
    room: Room, service: PushService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guests_module, "GUEST_PUSHES", 1)
    await room.phones.put(guest(new_store()), "phone", service.browser().subscription)
    with pytest.raises(TooManyDevicesError, match="in all"):
        await room.phones.put(guest(new_store()), "phone", service.browser().subscription)


async def test_only_a_guest_subscribes_and_only_to_where_something_may_be_sent(
    room: Room, service: PushService
) -> None:
    store, wanted = new_store(), service.browser().subscription
    with pytest.raises(ForbiddenError):
        await room.phones.put(owner_of(store), "phone", wanted)
    with pytest.raises(InvalidError):
        await room.phones.put(
            guest(store), "phone", structs.replace(wanted, endpoint="https://169.254.169.254/")
        )
    with pytest.raises(InvalidError):
        await room.phones.put(guest(store), "phone", structs.replace(wanted, p256dh="A" * 87))
    assert await room.kept(store) == []


async def test_a_guest_ends_it_and_no_guest_of_another_table_does(
    room: Room, service: PushService
) -> None:
    store = new_store()
    await room.phones.put(guest(store), "phone", service.browser().subscription)
    with pytest.raises(NotFoundError):
        await room.phones.remove(guest(store, "6"), "phone")
    await room.phones.remove(guest(store), "phone")
    assert await room.kept(store) == []


async def test_a_phone_whose_push_service_fails_is_told_later_and_one_that_is_gone_is_forgotten(
    room: Room, service: PushService
) -> None:
    store, gone = new_store(), new_store()
    for place in (store, gone):
        await room.phones.put(guest(place), "phone", service.browser().subscription)
    service.answer = lambda path: status(503 if path == "/push/0" else 410)
    number = await room.ready(store, await room.place(store))
    await room.ready(gone, await room.place(gone))
    async with sending(room):
        async with asyncio.timeout(60):
            while await room.kept(gone):  # noqa: ASYNC110  (in the database)
                await asyncio.sleep(0.02)
            failed = "SELECT tries FROM guest_pushes WHERE store_id = $1"
            while await room.pool.fetchval(failed, store) == 0:  # noqa: ASYNC110  (as above)
                await asyncio.sleep(0.02)
        service.answer = lambda _: status(201)
        await room.pool.execute("UPDATE guest_pushes SET due_at = now()")
        await service.until(lambda s: len(s.taken) == 1)
    assert service.taken[0].told["ready"] == [number]


async def until_left_out(metrics: PushMetrics, count: int) -> None:
    """Wait until a sender says that it leaves out so many phones because of damage."""
    async with asyncio.timeout(60):
        while True:
            (metric,) = metrics.unreadable.labels("guests").collect()
            if metric.samples[0].value == count:
                return
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("column", ["p256dh", "endpoint", "token", "device", "origin"])
async def test_a_phone_whose_row_is_no_text_is_left_out_and_all_others_are_told(
    room: Room, service: PushService, monkeypatch: pytest.MonkeyPatch, column: str
) -> None:
    monkeypatch.setattr(take_around_damage, "LOOK_AGAIN_AFTER_S", 0.5)
    store, *others = stores = [new_store() for _ in range(4)]
    orders = [await room.place(one) for one in stores]
    for one in stores:
        await room.phones.put(guest(one), "phone", service.browser().subscription)
    kept = f"SELECT {column} FROM guest_pushes WHERE store_id = $1"
    whole = await room.pool.fetchval(kept, store)
    await damage(room.pool, "guest_pushes", column, "store_id = $1", store)
    numbers = [await room.ready(*one) for one in zip(stores, orders, strict=True)]
    with capture_logs() as logs:
        async with sending(room) as metrics:
            await service.until(lambda s: len(s.taken) == len(others))
            await until_left_out(metrics, 1)
            told = [pushed.told["ready"][0] for pushed in service.taken]
            assert sorted(told) == sorted(numbers[1:])
            mend = f"UPDATE guest_pushes SET {column} = $2 WHERE store_id = $1"
            await room.pool.execute(mend, store, whole)
            await service.until(lambda s: len(s.taken) == len(stores))
            await until_left_out(metrics, 0)
    assert service.taken[-1].told["ready"] == numbers[:1]
    (left_out, *_) = [entry for entry in logs if entry["event"] == "push_unreadable"]
    assert left_out["table"] == "guest_pushes"
    assert left_out["row"].startswith("(")


async def test_a_phone_is_signed_out_beside_one_whose_row_is_no_text(
    room: Room, service: PushService
) -> None:
    damaged, signed_out = new_store(), new_store()
    for one in (damaged, signed_out):
        await room.phones.put(guest(one), "phone", service.browser().subscription)
    await damage(room.pool, "guest_pushes", "token", "store_id = $1", damaged)
    await revoked(room, "token", signed_out)
    await room.due().settle()
    assert await room.kept(signed_out) == []
    assert await room.kept(damaged) == ["phone"]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("p256dh", "no key"),
        ("auth", "no secret"),
        ("endpoint", "no URL"),
        ("endpoint", "http://["),
        ("endpoint", "ftp://127.0.0.1/"),
        ("endpoint", "http://127.0.0.1:99999/"),
        ("endpoint", "http://127.0.0.1:1/\n"),
    ],
)
async def test_a_phone_that_no_message_can_be_made_for_has_failed_and_all_others_are_told(
    room: Room, service: PushService, column: str, value: str
) -> None:
    store, other = stores = new_store(), new_store()
    orders = [await room.place(one) for one in stores]
    for one in stores:
        await room.phones.put(guest(one), "phone", service.browser().subscription)
    await room.pool.execute(
        f"UPDATE guest_pushes SET {column} = $2 WHERE store_id = $1",
        store,
        value,
    )
    number = [await room.ready(*one) for one in zip(stores, orders, strict=True)][1]
    async with sending(room):
        await service.until(lambda s: len(s.taken) == 1)
        failed = await room.until_failed(store)
    assert [pushed.told["ready"] for pushed in service.taken] == [[number]]
    assert failed.failing_since is not None
    assert (await room.phones.list(other))[0].failure is None


async def test_whoever_has_not_subscribed_again_for_long_is_forgotten(
    room: Room, service: PushService
) -> None:
    old, new = new_store(), new_store()
    for store in (old, new):
        await room.phones.put(guest(store), "phone", service.browser().subscription)
    await room.pool.execute(
        "UPDATE guest_pushes SET renewed_at = now() - interval '2 days' WHERE store_id = $1", old
    )
    assert await trim_guest_phones(room.pool, guests_module.KEPT_S, 100) == 1
    assert await room.kept(new) == ["phone"]
