"""Registrations and commands over a real Postgres: stored first, known by id, expired, reported."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry

from core_api.devices.commands import expiring_loop as expiring
from core_api.devices.commands.alarm import CommandAlarm
from core_api.devices.commands.expiring_loop import Expiring
from core_api.devices.commands.lifecycle import ExpiringError, expire_one, trim_commands
from core_api.devices.metrics import CommandAlarmMetrics, CommandMetrics
from core_api.devices.registrations import RegisterDevice, Registrations
from core_api.errors import (
    ForbiddenError,
    IdempotencyMismatchError,
    NotFoundError,
    TooManyCommandsError,
    TooManyDevicesError,
)
from core_api.kafka.messages import PublishResult
from core_api.kafka.publisher import KafkaPublisher, Sent
from core_api.kafka.topics import BrokerError, alerts_topic
from core_api.system_edits.document_access import DocumentAccess
from core_api.system_edits.ending import Ending
from server_common.devices.identity import Identity
from server_common.limits import DEVICE_OPEN_COMMANDS, STORE_DEVICE_NAMES, STORE_DEVICES
from tests.integration.core_api.device_shop import BELL, KEYS, RULES, STORE, Shop

if TYPE_CHECKING:
    from core_api.postgres.pool import Pool


@pytest.fixture
async def shop(pool: Pool) -> Shop:
    made = Shop(pool)
    await made.register()
    return made


def expiring_of(shop: Shop) -> Expiring:
    metrics = CommandMetrics(CollectorRegistry())
    return Expiring(shop.documents, metrics)


async def password(shop: Shop, **wanted: Any) -> str | None:
    return (await shop.registrations.put(STORE, BELL, RegisterDevice(**wanted)))[1]


async def test_a_password_is_shown_with_each_generation_and_at_no_other_time(pool: Pool) -> None:
    shop = Shop(pool)
    first = await password(shop)
    assert first == KEYS.password(Identity(STORE, BELL, 1), "new")
    assert await password(shop) is None
    assert await password(shop, table="7") is None
    second = await password(shop, rotate=True)
    assert second == KEYS.password(Identity(STORE, BELL, 2), "new")


async def test_only_the_password_of_the_newest_generation_is_good(shop: Shop) -> None:
    first, second = Identity(STORE, BELL, 1), Identity(STORE, BELL, 2)
    assert await shop.registrations.is_current(first, KEYS.password(first, "new"))
    assert not await shop.registrations.is_current(first, KEYS.password(first, "old"))
    assert not await shop.registrations.is_current(second, KEYS.password(second, "new"))
    await shop.register(rotate=True)
    assert not await shop.registrations.is_current(first, KEYS.password(first, "new"))
    await shop.registrations.remove(STORE, BELL)
    assert not await shop.registrations.is_current(second, KEYS.password(second, "new"))


async def test_what_a_registration_leaves_out_stays_as_it_is(shop: Shop) -> None:
    await shop.register(table="7", media=["text/plain"])
    await shop.register(rotate=True)
    kept = await shop.registrations.get(STORE, BELL)
    assert (kept.table, kept.media, kept.generation) == ("7", ["text/plain"], 2)
    assert (await shop.register(table=None)).table is None


async def test_a_removed_device_is_gone_with_its_documents_and_comes_back_as_another(
    shop: Shop,
) -> None:
    command = await shop.ask()
    await shop.hear("status", {"connection": "a", "online": True, "at": 1})
    await shop.registrations.remove(STORE, BELL)
    assert await shop.registrations.list(STORE) == []
    assert await shop.document("status") is None
    assert await shop.document(f"command.{command.id}") is None
    for work in (
        shop.registrations.remove(STORE, BELL),
        shop.registrations.get(STORE, BELL),
        shop.ask(),
    ):
        with pytest.raises(NotFoundError):
            await work
    again = await shop.register()
    assert (again.identity.generation, again.table) == (2, None)


async def test_another_password_sets_the_device_offline_until_it_connects_with_it(
    shop: Shop,
) -> None:
    await shop.hear("status", {"connection": "a", "online": True, "at": 99})
    await shop.register(rotate=True)
    assert (await shop.document("status"))["online"] is False
    assert await shop.hear("status", {"connection": "b", "online": True, "at": 1}) == "applied"


async def test_changes_are_numbered_in_the_order_of_their_commits(pool: Pool) -> None:
    shop = Shop(pool)
    await asyncio.gather(*(shop.register(f"lamp-{n}") for n in range(8)))
    await shop.registrations.remove(STORE, "lamp-3")
    rows = await pool.fetch("SELECT change FROM device_registrations ORDER BY change")
    assert len({row[0] for row in rows}) == 8
    assert rows[-1][0] == 9


async def test_a_store_has_so_many_devices_and_no_more(shop: Shop) -> None:
    await shop.pool.execute(
        "INSERT INTO device_registrations (store_id, device_id, generation, kid, media, change)"
        " SELECT $1, 'lamp-' || n, 1, 'new', '{}', 10 + n FROM generate_series(2, $2) n",
        STORE,
        STORE_DEVICES,
    )
    with pytest.raises(TooManyDevicesError):
        await shop.register("one-more")
    await shop.register(rotate=True)


async def test_names_of_removed_devices_do_not_grow_without_end(shop: Shop) -> None:
    await shop.pool.execute(
        "INSERT INTO device_registrations"
        " (store_id, device_id, generation, kid, media, change, removed_at)"
        " SELECT $1, 'lamp-' || n, 1, 'new', '{}', 10 + n, now() FROM generate_series(2, $2) n",
        STORE,
        STORE_DEVICE_NAMES,
    )
    with pytest.raises(TooManyDevicesError):
        await shop.register("one-more")
    assert (await shop.register("lamp-7")).identity.generation == 2


async def test_without_keys_no_device_can_be_registered(pool: Pool) -> None:
    registrations = Registrations(DocumentAccess(pool, RULES, lambda _channels: None), None)
    with pytest.raises(ForbiddenError, match="YABAM_DEVICES_KEYS"):
        await registrations.put(STORE, BELL, RegisterDevice())
    assert not await registrations.is_current(Identity(STORE, BELL, 1), "x")


async def test_a_command_is_a_document_of_the_devices_channel(shop: Shop) -> None:
    command = await shop.ask("show", arguments={"text": "김밥"}, id="c-1", expires_in_s=90)
    assert await shop.document("command.c-1") == {
        "name": "show",
        "arguments": {"text": "김밥"},
        "state": "sent",
        "detail": "",
        "expires_at": command.expires_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "by": "owner-12",
    }
    assert (command.expires_at - command.created_at).total_seconds() == 90


async def test_a_command_that_comes_twice_is_one_command(shop: Shop) -> None:
    first, *others = await asyncio.gather(*(shop.ask(id="c-1") for _ in range(4)))
    assert all(one == first for one in others)
    assert await shop.version("command.c-1") == 1
    with pytest.raises(IdempotencyMismatchError):
        await shop.ask("another", id="c-1")


async def test_a_device_that_answers_nothing_gets_so_many_commands_and_no_more(
    shop: Shop,
) -> None:
    for _ in range(DEVICE_OPEN_COMMANDS):
        await shop.ask()
    with pytest.raises(TooManyCommandsError):
        await shop.ask()
    await shop.hear("result", {"boot": 1, "n": 1, "id": "made-1", "outcome": "done"})
    await shop.ask(id="one-more")


async def test_a_command_that_nobody_answers_expires_by_the_databases_clock(shop: Shop) -> None:
    await shop.ask(id="c-1")
    assert await expiring_of(shop).round() == 0
    await shop.pass_time(61)
    assert await expiring_of(shop).round() == 1
    assert (await shop.document("command.c-1"))["state"] == "expired"
    assert await expiring_of(shop).round() == 0


async def test_an_answer_that_comes_late_is_still_the_truth(shop: Shop) -> None:
    await shop.ask(id="c-1")
    await shop.pass_time(61)
    await expiring_of(shop).round()
    answer = {"boot": 1, "n": 1, "id": "c-1", "outcome": "done"}
    assert await shop.hear("result", answer) == "applied"
    assert (await shop.document("command.c-1"))["state"] == "done"


async def test_a_command_that_cannot_expire_stops_no_other(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("bad", "good"):
        await shop.ask(id=name)
    await shop.pass_time(61)

    async def expire(documents: DocumentAccess, but: Any) -> Any:
        if f"{STORE}/{BELL}/bad" not in but:
            raise ExpiringError(f"{STORE}/{BELL}/bad")
        return await expire_one(documents, but)

    monkeypatch.setattr(expiring, "expire_one", expire)
    assert await expiring_of(shop).round() == 1
    assert (await shop.document("command.good"))["state"] == "expired"
    assert (await shop.document("command.bad"))["state"] == "sent"


async def test_the_document_of_a_command_ends_and_its_id_stays_known(shop: Shop) -> None:
    asked = await shop.ask(id="c-1")
    await shop.hear("result", {"boot": 1, "n": 1, "id": "c-1", "outcome": "done"})
    ending = Ending(shop.documents)
    assert await ending.round() == 0
    await shop.pool.execute("UPDATE documents SET ends_at = now() WHERE key = 'command.c-1'")
    assert await ending.round() == 1
    assert await shop.document("command.c-1") is None
    again = await shop.ask(id="c-1")
    assert (again.state, again.created_at) == ("done", asked.created_at)


async def test_old_commands_are_forgotten_once_they_are_over(shop: Shop) -> None:
    for name in ("open", "over"):
        await shop.ask(id=name)
    await shop.hear("result", {"boot": 1, "n": 1, "id": "over", "outcome": "done"})
    await shop.pool.execute("UPDATE device_commands SET created_at = now() - interval '8 days'")
    assert await trim_commands(shop.pool, 7 * 86_400.0, 100) == 1
    assert [one.id for one in (await shop.commands.list(STORE, BELL)).commands] == ["open"]


class Alerts:
    """The alerts topic, which may be down."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.is_down = False
        self.partitions = 1

    async def open(self) -> None:
        if self.is_down:
            raise BrokerError("down")

    async def send(self, parts: dict[int, list[Any]]) -> Sent:
        self.sent += [json.loads(message.value) for of in parts.values() for message in of]

        async def stored(partition: int, count: int) -> PublishResult:
            return PublishResult({partition: count})

        return {part: asyncio.create_task(stored(part, len(of))) for part, of in parts.items()}


async def test_a_command_that_nobody_answered_is_reported_once(shop: Shop) -> None:
    alerts: Any = Alerts()
    metrics = CommandAlarmMetrics(CollectorRegistry())
    alarm = CommandAlarm(shop.pool, alerts, metrics, 3600, lambda: 1)
    for name in ("c-1", "c-2"):
        await shop.ask(id=name)
    await shop.pass_time(61)
    await expiring_of(shop).round()
    await shop.hear("result", {"boot": 1, "n": 1, "id": "c-2", "outcome": "done"})
    alerts.is_down = True
    with pytest.raises(BrokerError):
        await alarm.look()
    alerts.is_down = False
    for _ in range(2):
        await alarm.look()
    (alert,) = alerts.sent
    assert alert.pop("asked_at")
    assert alert == {
        "type": "device.unanswered",
        "store_id": STORE,
        "device_id": BELL,
        "command_id": "c-1",
        "name": "blink",
        "asked_by": "owner-12",
    }
    assert metrics.unanswered._value.get() == 1


async def test_commands_that_nobody_answered_are_read_page_by_page(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core_api.kafka.alerts.PAGE", 2)
    alerts: Any = Alerts()
    names = [f"c-{number}" for number in range(5)]
    for name in names:
        await shop.ask(id=name)
    await shop.pass_time(61)
    await expiring_of(shop).round()
    metrics = CommandAlarmMetrics(CollectorRegistry())
    await CommandAlarm(shop.pool, alerts, metrics, 3600, lambda: 1).look()
    assert sorted(alert["command_id"] for alert in alerts.sent) == names
    assert (
        await shop.pool.fetchval("SELECT count(*) FROM device_commands WHERE told_at IS NULL") == 0
    )


async def test_an_alert_is_a_record_of_the_alerts_topic(
    shop: Shop, bootstrap: str, topic: str
) -> None:
    publisher = KafkaPublisher(bootstrap, alerts_topic(topic))
    metrics = CommandAlarmMetrics(CollectorRegistry())
    await shop.ask(id="c-1")
    await shop.pass_time(61)
    await expiring_of(shop).round()
    await CommandAlarm(shop.pool, publisher, metrics, 3600, lambda: 1).look()
    await publisher.close()
    assert metrics.alerts._value.get() == 1
    assert await shop.pool.fetchval("SELECT told_at IS NOT NULL FROM device_commands")
