"""Pushes over a real Postgres and a push service of our own: told in time, once, and nobody in the
way of another."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack

import pytest
from msgspec import structs
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from core_api.errors import (
    ForbiddenError,
    InvalidError,
    TooManyDevicesError,
    UnavailableError,
)
from core_api.postgres.pool import LOCK_WAIT_S, Pool, open_pool
from core_api.push import due, registrations
from core_api.push import sender as sender_module
from core_api.push.due import Due, DueOwners
from core_api.push.metrics import PushMetrics
from core_api.push.registrations import PushSubscriptions, trim_pushes
from core_api.push.retries import Next
from core_api.push.sender import PushSender
from core_api.push.subscriptions import Subscribe
from core_api.revocations.statements import NewRevocation, revoke
from core_api.revocations.watching import Revoked
from core_api.webhooks.addresses import Networks
from core_api.webhooks.posting import Poster
from core_api.wiring import utc_now
from server_common.limits import PUSHES_AT_ONCE_EACH, PUSHES_AT_ONCE_OWNER, PUSHES_OF_STORE
from server_common.revocations.records import RevocationKind
from tests.integration.core_api.damaged_rows import damage
from tests.integration.core_api.push_parts import KEYS, Shop, holder, telling
from tests.integration.core_api.webhook_parts import LOOPBACK, new_store
from tests.push_service import PushService
from tests.webhook_receiver import status

pytestmark = pytest.mark.xdist_group("webhooks")

ANN = holder()
REVOKED: dict[RevocationKind, str] = {"token": "t-ann-1", "session": "s-ann-1", "subject": "ann"}


async def sign_out(shop: Shop, kind: RevocationKind) -> None:
    """Ann is signed out: everywhere, or on her device 1."""
    before = int(time.time()) if kind == "subject" else 0
    await revoke(shop.pool, NewRevocation(kind, REVOKED[kind], before, None, "ops-1"))


def owners_of(pool: Pool, after_s: float) -> DueOwners:
    """Who is to be told now, as a process that has just started finds it."""
    return DueOwners(pool, Revoked(pool, time.time, time.monotonic), after_s)


@pytest.fixture
async def shop(shared_database: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shop]:
    monkeypatch.setattr(sender_module, "EVERY_S", 0.02)
    pool = await open_pool(shared_database, size=8, command_timeout_s=10, name="test")
    yield Shop(pool)
    await pool.execute("DELETE FROM push_subscriptions")
    await pool.execute("DELETE FROM revocations")
    pool.terminate()


def sending(
    pool: Pool, networks: Networks = LOOPBACK, answer_within_s: float = 30.0
) -> AbstractAsyncContextManager[PushMetrics]:
    """A sender for the time of a block, which tells of orders at once."""
    return telling("owners", owners_of(pool, 0.0), networks, answer_within_s)


async def test_many_orders_that_nobody_receives_are_one_message_with_their_number(
    shop: Shop, service: PushService
) -> None:
    store = await shop.untold(service, 5)
    async with sending(shop.pool):
        await service.until(lambda s: len(s.taken) == 1)
        await shop.until_told(store)
    (pushed,) = service.taken
    assert pushed.told == {"store": store, "count": 5, "language": "ko"}


async def test_nobody_is_told_of_what_a_terminal_has_received_or_somebody_has_accepted(
    shop: Shop, service: PushService
) -> None:
    received, accepted, neither = new_store(), new_store(), new_store()
    for store in (received, accepted, neither):
        await shop.subscribe(service, store)
    await shop.place(received, 2)
    await shop.receive(received)
    await shop.place(accepted)
    await shop.receive(accepted)
    await shop.accept(accepted, await shop.place(accepted))
    await shop.place(neither)
    async with sending(shop.pool):
        await shop.until_told(neither)
    assert [pushed.told["store"] for pushed in service.taken] == [neither]


async def test_a_terminal_that_has_only_the_older_orders_does_not_keep_the_newer_one_silent(
    shop: Shop, service: PushService
) -> None:
    store = await shop.untold(service)
    await shop.receive(store)
    await shop.place(store)
    async with sending(shop.pool):
        await shop.until_told(store)


async def test_an_order_is_told_of_only_once_it_has_waited(
    shop: Shop, service: PushService
) -> None:
    young, old = new_store(), new_store()
    for store in (young, old):
        await shop.subscribe(service, store)
        await shop.place(store)
    await shop.pool.execute(
        "UPDATE orders SET placed_at = now() - interval '1 hour' WHERE store_id = ANY($1)",
        [young, old],
    )
    # What a terminal has received may wait for long.
    await shop.receive(young)
    await shop.place(young)
    poster = Poster(LOOPBACK)
    metrics = PushMetrics(CollectorRegistry())
    sender = PushSender("owners", owners_of(shop.pool, 1800), poster, KEYS, metrics, utc_now)
    await sender.look()
    await service.until(lambda s: len(s.taken) == 1)
    await shop.until_told(old)
    await sender.look()
    await poster.close()
    assert service.asked == ["/push/1"]


async def test_an_order_from_before_the_database_s_clock_was_set_back_is_told_of(
    shop: Shop, service: PushService
) -> None:
    store = await shop.untold(service)
    await shop.pool.execute(
        "UPDATE orders SET placed_at = now() + interval '1 hour' WHERE store_id = $1", store
    )
    async with sending(shop.pool):
        await shop.until_told(store)


@pytest.mark.parametrize("until", ["due_at", "held_until"])
async def test_what_was_put_off_before_the_database_s_clock_was_set_back_is_told(
    shop: Shop, service: PushService, until: str
) -> None:
    store = await shop.untold(service)
    await shop.pool.execute(
        f"UPDATE push_subscriptions SET {until} = now() + interval '1 day' WHERE store_id = $1",
        store,
    )
    async with sending(shop.pool):
        await shop.until_told(store)


async def test_what_an_old_endpoint_answers_does_not_touch_the_one_that_came_meanwhile(
    shop: Shop, service: PushService
) -> None:
    store = await shop.untold(service)
    owners = owners_of(shop.pool, 0.0)
    (old,) = await owners.take([], 1, failing=False)
    await shop.subscribe(service, store)
    await owners.note_failed(old, "it answered 503", Next(60.0, None))
    await owners.note_failed(old, "it answered 410", Next(0.0, "gone"))
    await owners.note_told(old)
    new = await shop.one(store)
    assert (new.failure, new.pushed_at, await shop.mark(store)) == (None, None, 0)


async def test_a_subscription_begins_with_the_orders_that_come_after_it(
    shop: Shop, service: PushService
) -> None:
    before, after = new_store(), new_store()
    await shop.place(before)
    for store in (before, after):
        await shop.subscribe(service, store)
    await shop.place(after)
    async with sending(shop.pool):
        await shop.until_told(after)
    assert [pushed.told["store"] for pushed in service.taken] == [after]


async def test_after_a_message_the_next_one_waits_and_says_how_many_are_new_by_then(
    shop: Shop, service: PushService
) -> None:
    store, other = new_store(), new_store()
    await shop.subscribe(service, store)
    async with sending(shop.pool):
        await shop.place(store)
        await shop.until_told(store)
        await shop.place(store, 2)
        await shop.subscribe(service, other)
        await shop.place(other)
        await shop.until_told(other)
        assert [pushed.told["count"] for pushed in service.taken] == [1, 1]
        await shop.make_due(store)
        await service.until(lambda s: len(s.taken) == 3)
    assert service.taken[-1].told == {"store": store, "count": 3, "language": "ko"}


@pytest.mark.parametrize("code", [404, 410])
async def test_a_browser_that_is_gone_is_forgotten(
    shop: Shop, service: PushService, code: int
) -> None:
    store = new_store()
    await shop.subscribe(service, store)
    service.answer = lambda _: status(code)
    await shop.place(store)
    async with sending(shop.pool):
        await shop.until_forgotten(store)


async def test_a_push_service_that_fails_is_asked_again_later_and_then_takes_what_is_so_by_then(
    shop: Shop, service: PushService
) -> None:
    store = new_store()
    await shop.subscribe(service, store)
    refusal = status(503, retry_after="3000")
    answers = [refusal]
    taking = service.answer
    service.answer = lambda path: answers.pop() if answers else taking(path)
    async with sending(shop.pool):
        await shop.place(store)
        failed = await shop.until_failed(store)
        assert failed.failure == "it answered 503"
        await shop.place(store)
        await shop.make_due(store)
        await service.until(lambda s: len(s.taken) == 1)
        await shop.until_told(store)
    assert service.taken[0].told["count"] == 2
    assert (await shop.one(store)).failing_since is None


async def test_a_push_service_does_not_count_as_failing_once_nothing_waits_for_it(
    shop: Shop, service: PushService
) -> None:
    accepted, waiting = new_store(), new_store()
    service.answer = lambda _: status(503, retry_after="3000")
    async with sending(shop.pool):
        for store in (accepted, waiting):
            await shop.subscribe(service, store)
            order = await shop.place(store)
            await shop.until_failed(store)
            if store == accepted:
                await shop.accept(store, order)

        async def is_well() -> bool:
            return (await shop.one(accepted)).failing_since is None

        await shop.until(is_well)
    assert (await shop.one(accepted)).failure == "it answered 503"
    assert (await shop.one(waiting)).failing_since is not None


async def test_a_mark_follows_the_log_of_a_store_whose_orders_are_accepted_at_once(
    shop: Shop, service: PushService, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Else each look would read all that has happened since the browser was told last.
    monkeypatch.setattr(due, "MARK_LAG", 4)
    accepted, waiting = new_store(), new_store()
    for store in (accepted, waiting):
        await shop.subscribe(service, store)
        await shop.accept(store, await shop.place(store))
    await shop.accept(accepted, await shop.place(accepted))
    await shop.place(waiting, 2)
    await owners_of(shop.pool, 0.0).settle()
    assert (await shop.mark(accepted), await shop.mark(waiting)) == (4, 0)
    async with sending(shop.pool):
        await shop.until_told(waiting)
    assert [pushed.told["count"] for pushed in service.taken] == [2]


async def test_a_push_service_that_hangs_delays_no_other(shop: Shop, service: PushService) -> None:
    hanging, store = new_store(), new_store()
    async with PushService(KEYS.public) as dead:
        dead.answer = lambda _: None
        for number in range(PUSHES_OF_STORE):
            for one in (hanging, f"{hanging}-2", f"{hanging}-3"):
                await shop.subscribe(dead, one, f"phone-{number}", f"owner-{number}")
        for one in (hanging, f"{hanging}-2", f"{hanging}-3"):
            await shop.place(one)
        async with sending(shop.pool):
            await dead.until(lambda s: len(s.asked) == PUSHES_AT_ONCE_EACH)
            await shop.subscribe(service, store)
            await shop.place(store)
            await shop.until_told(store)
            assert len(dead.asked) == PUSHES_AT_ONCE_EACH


async def test_an_owner_whose_browsers_name_many_hosts_that_hang_delays_no_other(
    shop: Shop, service: PushService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor by what waits for its turn at a push service that others use, too."""
    hosts, store = PUSHES_AT_ONCE_OWNER + 2, new_store()
    monkeypatch.setattr(sender_module, "PUSHES_AT_ONCE", hosts)
    monkeypatch.setattr(due, "PUSHES_AT_ONCE_EACH", 3)
    async with AsyncExitStack() as ending:
        hanging = [await ending.enter_async_context(PushService(KEYS.public)) for _ in range(hosts)]
        for number, host in enumerate(hanging):
            host.answer = lambda _: None
            its = f"{store}-of-eve-{number}"
            await shop.subscribe(host, its, owner="eve")
            await shop.place(its)
        for number in range(4):
            its = f"{store}-also-of-eve-{number}"
            await shop.subscribe(service, its, owner="eve")
            await shop.place(its)
        async with sending(shop.pool):
            await shop.subscribe(service, store, owner="bob")
            await shop.place(store)
            await shop.until_told(store)
            assert sum(len(host.asked) for host in hanging) <= PUSHES_AT_ONCE_OWNER
    assert [pushed.told["store"] for pushed in service.taken] == [store]


async def test_how_long_ago_it_could_look_is_known_also_while_it_cannot(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    metrics = PushMetrics(CollectorRegistry(), lambda: now[0])
    poster = Poster(LOOPBACK)
    owners = owners_of(shop.pool, 0.0)
    sender = PushSender("owners", owners, poster, KEYS, metrics, utc_now)

    def since() -> float:
        (found,) = metrics.unlooked.collect()
        return found.samples[0].value

    failures = 0

    async def failing(*_: object, **__: object) -> list[Due]:
        nonlocal failures
        failures += 1
        raise UnavailableError("no look succeeds")

    monkeypatch.setattr(owners, "take", failing)
    running = asyncio.create_task(sender.run())
    try:
        now[0] = 400.0

        async def has_failed() -> bool:
            return failures > 2

        await shop.until(has_failed)
        assert since() == 300.0
        monkeypatch.setattr(owners, "take", DueOwners.take.__get__(owners))
        metrics.looked("guests")

        async def has_looked() -> bool:
            return since() == 0.0

        await shop.until(has_looked)
    finally:
        running.cancel()
        await asyncio.wait({running})
        await poster.close()


async def test_a_row_that_is_damaged_keeps_no_other_browser_from_being_told(
    shop: Shop, service: PushService
) -> None:
    damaged, store = new_store(), new_store()
    for one in (damaged, store):
        await shop.subscribe(service, one)
        await shop.place(one)
    await shop.pool.execute(
        "UPDATE push_subscriptions SET p256dh = 'none' WHERE store_id = $1", damaged
    )
    async with sending(shop.pool) as metrics:
        await shop.until_told(store)
        await shop.until(lambda: has_bug(metrics))
    assert [pushed.told["store"] for pushed in service.taken] == [store]


@pytest.mark.parametrize("column", ["p256dh", "token", "device"])
async def test_a_row_that_is_no_text_is_left_out_and_all_other_browsers_are_told(
    shop: Shop, service: PushService, column: str
) -> None:
    damaged, *others = stores = [new_store() for _ in range(4)]
    for one in stores:
        await shop.subscribe(service, one)
        await shop.place(one)
    await damage(shop.pool, "push_subscriptions", column, "store_id = $1", damaged)
    async with sending(shop.pool) as metrics:
        for one in others:
            await shop.until_told(one)
        await shop.until(lambda: leaves_one_out(metrics))
    assert sorted(pushed.told["store"] for pushed in service.taken) == sorted(others)


async def leaves_one_out(metrics: PushMetrics) -> bool:
    (counted,) = metrics.unreadable.labels("owners").collect()
    return counted.samples[0].value == 1


async def test_a_browser_is_signed_out_beside_one_whose_row_is_no_text(
    shop: Shop, service: PushService
) -> None:
    damaged, signed_out = new_store(), new_store()
    await shop.subscribe(service, damaged, owner="bob")
    wanted = service.browser().subscription
    await shop.pushes.put(signed_out, "phone", wanted, holder(device="1"))
    await damage(shop.pool, "push_subscriptions", "session", "store_id = $1", damaged)
    await sign_out(shop, "token")
    await owners_of(shop.pool, 0.0).settle()
    assert not await shop.pushes.list(signed_out)
    assert len(await shop.pushes.list(damaged)) == 1


async def has_bug(metrics: PushMetrics) -> bool:
    (counted,) = metrics.bugs.collect()
    return any(sample.value > 0 for sample in counted.samples if sample.name.endswith("_total"))


async def test_a_mark_of_another_log_counts_for_nothing(shop: Shop, service: PushService) -> None:
    # After a restore the log begins anew, with smaller numbers.
    store = new_store()
    await shop.subscribe(service, store)
    await shop.pool.execute(
        "UPDATE push_subscriptions SET epoch = 'E0', seq = 1000 WHERE store_id = $1", store
    )
    await shop.place(store)
    async with sending(shop.pool):
        await shop.until_told(store)
    assert await shop.mark(store) == 1


async def test_two_senders_tell_each_browser_once(shop: Shop, service: PushService) -> None:
    stores = [new_store() for _ in range(20)]
    for store in stores:
        await shop.subscribe(service, store)
        await shop.place(store)
    async with sending(shop.pool), sending(shop.pool):
        for store in stores:
            await shop.until_told(store)
    assert sorted(pushed.told["store"] for pushed in service.taken) == sorted(stores)


async def test_nothing_is_sent_to_an_address_that_is_not_permitted(
    shop: Shop, service: PushService
) -> None:
    # It was registered while the operator permitted it.
    store = await shop.untold(service)
    async with sending(shop.pool, Networks()):
        failed = await shop.until_failed(store)
    assert "no address" in (failed.failure or "")
    assert service.asked == []


async def test_no_log_line_and_no_answer_has_an_endpoint_or_a_key(
    shop: Shop, service: PushService
) -> None:
    store = new_store()
    wanted = await shop.subscribe(service, store)
    service.answer = lambda _: status(410)
    await shop.place(store)
    with capture_logs() as logged:
        shown = str(await shop.pushes.list(store))
        async with sending(shop.pool):
            await shop.until_forgotten(store)
    for secret in ("/push/", wanted.p256dh, wanted.auth):
        assert secret not in str(logged)
        assert secret not in shown


async def test_a_page_that_subscribes_again_goes_on_where_it_was(
    shop: Shop, service: PushService
) -> None:
    store = new_store()
    wanted = await shop.subscribe(service, store)
    await shop.place(store)
    await shop.pushes.put(store, "phone", replace_language(wanted), ANN)
    async with sending(shop.pool):
        await shop.until_told(store)
    assert service.taken[0].told["language"] == "en"


def replace_language(wanted: Subscribe) -> Subscribe:
    return structs.replace(wanted, language="en")


async def test_a_browser_that_has_forgotten_its_name_is_not_told_twice(
    shop: Shop, service: PushService
) -> None:
    store = new_store()
    wanted = await shop.subscribe(service, store)
    await shop.pushes.put(store, "another-name", wanted, ANN)
    assert [one.device for one in await shop.pushes.list(store)] == ["another-name"]


async def test_a_browser_that_is_removed_is_told_nothing(shop: Shop, service: PushService) -> None:
    removed, store = new_store(), new_store()
    for one in (removed, store):
        await shop.subscribe(service, one)
        await shop.place(one)
    await shop.pushes.remove(removed, "phone")
    async with sending(shop.pool):
        await shop.until_told(store)
    assert [pushed.told["store"] for pushed in service.taken] == [store]


@pytest.mark.parametrize("kind", REVOKED)
async def test_a_browser_hears_nothing_once_its_owner_s_token_was_revoked(
    shop: Shop, service: PushService, kind: RevocationKind
) -> None:
    store = new_store()
    for number, owner in (("1", "ann"), ("2", "bea")):
        wanted = service.browser().subscription
        await shop.pushes.put(store, number, wanted, holder(owner, number))
    await shop.place(store)
    await sign_out(shop, kind)
    poster, metrics = Poster(LOOPBACK), PushMetrics(CollectorRegistry())
    sender = PushSender("owners", owners_of(shop.pool, 0.0), poster, KEYS, metrics, utc_now)
    # Before anything was settled.
    await sender.look()
    await service.until(lambda s: len(s.taken) == 1)
    await poster.close()
    assert service.asked == ["/push/1"]
    assert (await shop.one(store)).device == "2"


@pytest.mark.parametrize("kind", REVOKED)
async def test_a_browser_of_a_revoked_token_is_forgotten_though_no_order_waits(
    shop: Shop, service: PushService, kind: RevocationKind
) -> None:
    store = new_store()
    for number, owner in (("1", "ann"), ("2", "bea")):
        wanted = service.browser().subscription
        await shop.pushes.put(store, number, wanted, holder(owner, number))
    owners = owners_of(shop.pool, 0.0)
    await owners.settle()
    assert [one.device for one in await shop.pushes.list(store)] == ["1", "2"]
    await sign_out(shop, kind)
    await owners.settle()
    assert (await shop.one(store)).device == "2"


async def test_a_browser_goes_on_when_its_owner_has_signed_in_again(
    shop: Shop, service: PushService
) -> None:
    store, wanted = new_store(), service.browser().subscription
    owners = owners_of(shop.pool, 0.0)
    await shop.pushes.put(store, "phone", wanted, holder("ann", "1"))
    await shop.pushes.put(store, "phone", wanted, holder("ann", "2"))
    for kind in ("token", "session"):
        await sign_out(shop, kind)
    await owners.settle()
    assert (await shop.one(store)).device == "phone"
    # And one that signed in after all of its subject's tokens were revoked.
    await shop.pushes.put(store, "phone", wanted, holder("ann", "2", signed_in_ago_s=-5))
    await sign_out(shop, "subject")
    await owners.settle()
    assert (await shop.one(store)).device == "phone"


class RenewsMeanwhile(Revoked):
    """While it looks for what is revoked, a browser's page starts with a new token."""

    def __init__(self, shop: Shop, store: str, wanted: Subscribe) -> None:
        super().__init__(shop.pool, time.time, time.monotonic)
        self._renewal = shop.pushes.put, store, wanted

    async def look(self) -> None:
        put, store, wanted = self._renewal
        await put(store, "phone", wanted, holder("ann", "2"))
        await super().look()


async def test_a_page_that_has_signed_in_anew_while_its_browser_was_taken_goes_on(
    shop: Shop, service: PushService
) -> None:
    store, wanted = new_store(), service.browser().subscription
    await shop.pushes.put(store, "phone", wanted, holder("ann", "1"))
    await shop.place(store)
    await sign_out(shop, "session")
    owners = DueOwners(shop.pool, RenewsMeanwhile(shop, store, wanted), 0.0)
    assert await owners.take([], 10, failing=False) == []
    assert (await shop.one(store)).device == "phone"


async def test_a_browser_that_a_revoked_token_subscribed_a_moment_later_is_forgotten(
    shop: Shop, service: PushService
) -> None:
    store, owners = new_store(), owners_of(shop.pool, 0.0)
    await sign_out(shop, "token")
    await owners.settle()
    # A Core that had let the request in, or had not heard of it yet.
    await shop.pushes.put(store, "1", service.browser().subscription, holder("ann", "1"))
    await owners.settle()
    assert await shop.pushes.list(store) == []


FROM_BEFORE = """
UPDATE push_subscriptions SET token = '', session = '', made_at = 0,
    renewed_at = now() - make_interval(secs => $2) WHERE store_id = $1
"""


async def test_a_browser_from_before_migration_0022_ends_with_its_subject(
    shop: Shop, service: PushService
) -> None:
    older, newer = new_store(), new_store()
    for store in (older, newer):
        await shop.subscribe(service, store)
    await shop.pool.execute(FROM_BEFORE, older, 60.0)
    # Its page was opened after that: with a token that was good.
    await shop.pool.execute(FROM_BEFORE, newer, -5.0)
    await sign_out(shop, "subject")
    await owners_of(shop.pool, 0.0).settle()
    assert await shop.pushes.list(older) == []
    assert (await shop.one(newer)).device == "phone"


async def test_a_store_has_only_so_many_browsers_and_those_that_it_has_go_on(
    shop: Shop, service: PushService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registrations, "PUSHES_OF_STORE", 1)
    store = new_store()
    wanted = await shop.subscribe(service, store)
    with pytest.raises(TooManyDevicesError):
        await shop.subscribe(service, store, "another")
    await shop.pushes.put(store, "phone", wanted, ANN)


async def test_where_there_is_no_more_room_those_that_are_there_go_on(
    shop: Shop, service: PushService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registrations, "PUSHES", 1)
    store = new_store()
    wanted = await shop.subscribe(service, store)
    with pytest.raises(TooManyDevicesError):
        await shop.subscribe(service, new_store())
    await shop.pushes.put(store, "phone", replace_language(wanted), ANN)
    await shop.subscribe(service, store)


@pytest.fixture
async def impatient(shared_database: str) -> AsyncIterator[Pool]:
    """Connections as Core has them for writing: they wait 100 ms at most for a lock."""
    pool = await open_pool(
        shared_database, size=1, command_timeout_s=10, name="test", lock_wait_s=LOCK_WAIT_S
    )
    yield pool
    pool.terminate()


async def test_a_page_that_subscribes_again_waits_for_nobody_who_subscribes(
    shop: Shop, service: PushService, impatient: Pool
) -> None:
    # All terminals of an installation may start at once.
    store = new_store()
    wanted = await shop.subscribe(service, store)
    again = PushSubscriptions(impatient, KEYS, LOOPBACK)
    async with shop.pool.acquire() as other, other.transaction():
        await other.execute(registrations.ORDER)
        await again.put(store, "phone", replace_language(wanted), ANN)
    assert (await shop.one(store)).language == "en"


async def test_browsers_that_subscribe_at_once_wait_for_each_other(
    shop: Shop, service: PushService, impatient: Pool
) -> None:
    store, wanted = new_store(), service.browser().subscription
    pushes = PushSubscriptions(impatient, KEYS, LOOPBACK)

    async def waits(so: bool) -> None:
        async def is_so() -> bool:
            found = await shop.pool.fetchval(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            )
            return bool(found) == so

        await shop.until(is_so)

    async with shop.pool.acquire() as other, other.transaction():
        await other.execute(registrations.ORDER)
        putting = asyncio.create_task(pushes.put(store, "phone", wanted, ANN))
        await waits(so=True)
        await waits(so=False)
    await putting
    assert len(await shop.pushes.list(store)) == 1


async def test_a_push_service_is_one_however_its_name_is_spelled(
    shop: Shop, service: PushService
) -> None:
    store = new_store()
    wanted = service.browser().subscription
    for number, origin in enumerate(
        ("https://push.example", "https://PUSH.Example", "https://push.example.:443")
    ):
        one = structs.replace(wanted, endpoint=f"{origin}/{number}")
        await shop.pushes.put(store, f"phone-{number}", one, ANN)
    shown = await shop.pushes.list(store)
    assert [push.service for push in shown] == ["push.example"] * 3


async def test_without_a_key_nobody_subscribes(shop: Shop, service: PushService) -> None:
    keyless = PushSubscriptions(shop.pool, None, LOOPBACK)
    with pytest.raises(ForbiddenError, match="YABAM_PUSH_KEY"):
        await keyless.put(new_store(), "phone", service.browser().subscription, ANN)


async def test_an_endpoint_where_only_we_can_reach_is_refused(
    shop: Shop, service: PushService
) -> None:
    strict = PushSubscriptions(shop.pool, KEYS, Networks())
    wanted = service.browser().subscription
    for endpoint in ("https://169.254.169.254/latest", "http://push.example/a", wanted.endpoint):
        with pytest.raises(InvalidError, match="endpoint"):
            await strict.put(new_store(), "phone", structs.replace(wanted, endpoint=endpoint), ANN)


async def test_a_browser_whose_page_was_not_opened_for_long_is_forgotten(
    shop: Shop, service: PushService
) -> None:
    old, new = new_store(), new_store()
    for store in (old, new):
        await shop.subscribe(service, store)
    await shop.pool.execute(
        "UPDATE push_subscriptions SET renewed_at = now() - interval '31 days' WHERE store_id = $1",
        old,
    )
    assert await trim_pushes(shop.pool, 30 * 86_400.0, 100) == 1
    assert await shop.pushes.list(old) == []
    assert len(await shop.pushes.list(new)) == 1


async def test_those_whose_push_service_has_failed_for_minutes_are_counted(
    shop: Shop, service: PushService
) -> None:
    stores = [new_store(), new_store()]
    for store in stores:
        await shop.subscribe(service, store)
    await shop.pool.execute(
        "UPDATE push_subscriptions SET failing_since = now() - interval '6 minutes' "
        "WHERE store_id = $1",
        stores[0],
    )
    standing = await owners_of(shop.pool, 0.0).standing()
    assert (standing.subscriptions, standing.late) == (2, 1)
