"""What devices say, applied once each; over a real Postgres."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import structlog
from prometheus_client import CollectorRegistry

from core_api.devices.metrics import DeviceMetrics
from core_api.devices.registrations import RegisterDevice
from core_api.devices.watching import Watching
from core_api.errors import UnavailableError
from core_api.postgres.pool import open_pool
from server_common.devices.messages import Inbound
from server_common.devices.mqtt_topics import MessageKind
from server_common.errors import DeviceMessageError
from server_common.limits import CHANNEL_DOCUMENTS
from tests.integration.core_api.device_shop import BELL, PNG, STORE, Shop
from tests.integration.core_api.relaying import commands, place

if TYPE_CHECKING:
    from collections.abc import Collection

    from core_api.postgres.pool import Pool

PRESSED: dict[str, Any] = {"boot": 1, "n": 1, "name": "bell", "reason": "water"}
ONLINE: dict[str, Any] = {"connection": "a", "online": True, "at": 10, "firmware": "1.2"}


@pytest.fixture
async def shop(pool: Pool) -> Shop:
    made = Shop(pool)
    await made.register(table="5")
    return made


async def reason_of(work: Any) -> str:
    with pytest.raises(DeviceMessageError) as caught:
        await work
    return caught.value.reason


def watching(shop: Shop, listened: Collection[int] = (0,)) -> Watching:
    metrics = DeviceMetrics(CollectorRegistry())
    return Watching(shop.documents, shop.measurements, lambda _seconds: listened, metrics)


async def test_an_event_is_a_document_whose_history_has_all_of_them(shop: Shop) -> None:
    for n in (1, 2):
        scanned = {"boot": 1, "n": n, "name": "scan", "code": f"49{n}", "weight": 0.5}
        assert await shop.hear("event", scanned, at_ms=1000) == "applied"
    assert await shop.document("event.scan") == {
        "boot": 1,
        "n": 2,
        "data": {"code": "492", "weight": "0.5"},
        "at": "1970-01-01T00:00:01.000Z",
    }
    assert await shop.version("event.scan") == 2
    assert shop.told.count(f"device:{STORE}/{BELL}") == 2


async def test_the_bell_of_a_table_rings_the_partys_bell_once(shop: Shop) -> None:
    assert await shop.hear("event", PRESSED) == "applied"
    assert await shop.hear("event", PRESSED) == "repeated"
    assert await shop.document("bell", f"party:{STORE}/5") == {
        "rung": 1,
        "answered": 0,
        "reason": "water",
    }


async def test_a_bell_without_a_table_rings_at_no_table(shop: Shop) -> None:
    await shop.register(table=None)
    await shop.hear("event", PRESSED)
    assert (await shop.document("event.bell"))["n"] == 1
    assert await shop.document("bell", f"party:{STORE}/5") is None


async def test_two_that_apply_the_same_message_at_once_apply_it_once(shop: Shop) -> None:
    async def hear(n: int) -> str:
        return await shop.hear("event", PRESSED | {"n": n})

    outcomes = await asyncio.gather(*(hear(n) for n in (1, 1, 2, 2, 3, 3)))
    assert sorted(outcomes) == ["applied"] * 3 + ["repeated"] * 3
    assert (await shop.document("bell", f"party:{STORE}/5"))["rung"] == 3


async def test_a_result_is_the_answer_of_its_command(shop: Shop) -> None:
    command = await shop.ask()
    answer = {"boot": 1, "n": 1, "id": command.id, "outcome": "failed", "detail": "no lamp"}
    assert await shop.hear("result", answer) == "applied"
    assert await shop.hear("result", answer) == "repeated"
    document = await shop.document(f"command.{command.id}")
    assert (document["state"], document["detail"]) == ("failed", "no lamp")
    (listed,) = (await shop.commands.list(STORE, BELL)).commands
    assert (listed.state, listed.detail) == ("failed", "no lamp")


async def test_the_first_answer_of_a_command_stays(shop: Shop) -> None:
    command = await shop.ask()
    for n, outcome in ((1, "done"), (2, "failed")):
        answer = {"boot": 1, "n": n, "id": command.id, "outcome": outcome}
        assert await shop.hear("result", answer) == "applied"
    assert (await shop.document(f"command.{command.id}"))["state"] == "done"
    assert await shop.version(f"command.{command.id}") == 2


async def test_what_was_refused_is_not_taken_for_a_repeat_later(shop: Shop) -> None:
    answer = {"boot": 1, "n": 1, "id": "later", "outcome": "done"}
    assert await reason_of(shop.hear("result", answer)) == "unknown-command"
    await shop.ask(id="later")
    assert await shop.hear("result", answer) == "applied"


async def test_a_device_that_is_not_registered_changes_nothing(shop: Shop) -> None:
    assert await reason_of(shop.hear("event", PRESSED, "stranger")) == "unknown-device"
    await shop.register(rotate=True)
    assert await reason_of(shop.hear("event", PRESSED, generation=1)) == "unknown-device"
    assert await shop.hear("event", PRESSED, generation=2) == "applied"


async def test_a_new_generation_counts_anew(shop: Shop) -> None:
    assert await shop.hear("event", PRESSED) == "applied"
    await shop.register(rotate=True)
    assert await shop.hear("event", PRESSED) == "applied"


async def test_an_older_status_and_an_older_connections_will_change_nothing(shop: Shop) -> None:
    assert await shop.hear("status", ONLINE) == "applied"
    newer = ONLINE | {"connection": "b", "at": 20, "troubles": ["no paper"]}
    assert await shop.hear("status", newer) == "applied"
    assert await shop.hear("status", ONLINE) == "repeated"
    assert await shop.hear("status", ONLINE | {"online": False}) == "repeated"
    document = await shop.document("status")
    assert (document["online"], document["connection"]) == (True, "b")
    assert document["troubles"] == ["no paper"]


async def test_a_status_that_only_says_it_again_makes_no_version(shop: Shop) -> None:
    for at in range(10, 15):
        assert await shop.hear("status", ONLINE | {"at": at}) == "applied"
    assert await shop.version("status") == 1


async def test_a_will_sets_its_device_offline(shop: Shop) -> None:
    await shop.hear("status", ONLINE)
    assert await shop.hear("status", ONLINE | {"online": False, "at": 1}) == "applied"
    assert (await shop.document("status"))["online"] is False


async def test_a_silent_device_goes_offline_where_somebody_listened(shop: Shop) -> None:
    await shop.hear("status", ONLINE)
    assert await watching(shop).look() == 0
    await shop.pass_time(151)
    assert await watching(shop, ()).look() == 0
    assert await watching(shop, (1, 2, 3)).look() == 0
    assert (await shop.document("status"))["online"] is True
    assert await watching(shop).look() == 1
    assert (await shop.document("status"))["online"] is False
    assert await shop.hear("status", ONLINE | {"at": 11}) == "applied"
    assert (await shop.document("status"))["online"] is True


async def test_a_device_that_says_anything_is_not_silent(shop: Shop) -> None:
    await shop.hear("status", ONLINE)
    await shop.pass_time(151)
    await shop.hear("event", PRESSED)
    assert await watching(shop).look() == 0


async def test_measurements_become_one_document_with_the_newest_of_each(shop: Shop) -> None:
    await shop.hear("telemetry", {"value": 3.5, "unit": "C"}, name="heat", at_ms=2000)
    await shop.hear("telemetry", {"value": 1}, name="heat", at_ms=1000)
    await shop.hear("telemetry", {"value": False}, name="door", at_ms=1000)
    await watching(shop).flush()
    assert await shop.document("telemetry") == {
        "heat": {"value": "3.5", "unit": "C", "at": "1970-01-01T00:00:02.000Z"},
        "door": {"value": False, "at": "1970-01-01T00:00:01.000Z"},
    }


async def test_measurements_wait_while_somebody_holds_the_device(
    shop: Shop, pool: Pool, database_url: str
) -> None:
    await shop.hear("telemetry", {"value": 1}, name="heat")
    hasty = await open_pool(
        database_url, size=1, command_timeout_s=10, name="test", lock_wait_s=0.05
    )
    shop.documents = shop.documents._replace(pool=hasty)
    async with pool.acquire() as other, other.transaction():
        await other.execute("SELECT FROM device_registrations FOR UPDATE")
        await watching(shop).flush()
    assert await shop.document("telemetry") is None
    shop.now += 60
    await watching(shop).flush()
    assert (await shop.document("telemetry"))["heat"]["value"] == 1
    hasty.terminate()


async def test_a_held_store_holds_up_no_silent_device_and_no_measurement_of_another(
    shop: Shop, pool: Pool, database_url: str
) -> None:
    await shop.register("bell-2")
    await shop.registrations.put("13", BELL, RegisterDevice())
    places = [(STORE, BELL), (STORE, "bell-2"), ("13", BELL)]
    says: list[tuple[MessageKind, dict[str, Any], str | None]] = [
        ("status", ONLINE, None),
        ("telemetry", {"value": 1}, "heat"),
    ]
    for store, device in places:
        for kind, payload, name in says:
            raw = msgspec.Raw(msgspec.json.encode(payload))
            await shop.messages.apply(Inbound(store, device, kind, 1000, raw, None, name), 0)
    await shop.pass_time(151)
    hasty = await open_pool(
        database_url, size=1, command_timeout_s=10, name="test", lock_wait_s=0.05
    )
    shop.documents = shop.documents._replace(pool=hasty)
    async with pool.acquire() as other, other.transaction():
        await other.execute(
            "SELECT FROM channel_heads WHERE channel LIKE $1 FOR UPDATE", f"device:{STORE}/%"
        )
        assert await watching(shop).look() == 1, "the silent one of the other store"
        with structlog.testing.capture_logs() as told:
            await watching(shop).flush()
    assert [one["event"] for one in told] == ["measurements_wait"], "the store was tried once"
    assert (await shop.document("telemetry", f"device:13/{BELL}"))["heat"]["value"] == 1
    assert (await shop.document("status", f"device:13/{BELL}"))["online"] is False
    assert await watching(shop).look() == 2
    shop.now += 60
    await watching(shop).flush()
    for store, device in places:
        assert (await shop.document("telemetry", f"device:{store}/{device}"))["heat"]["value"] == 1
    hasty.terminate()


async def test_measurements_of_an_older_generation_are_dropped(shop: Shop) -> None:
    await shop.hear("telemetry", {"value": 1}, name="heat", generation=1)
    await shop.register(rotate=True)
    await watching(shop).flush()
    assert await shop.document("telemetry") is None


async def test_the_newest_picture_is_kept_and_an_older_one_is_not(shop: Shop) -> None:
    def picture(last: bytes) -> dict[str, Any]:
        return {"media_type": "image/png", "data": b64encode(PNG + last).decode()}

    assert await shop.hear("snapshot", picture(b"2"), at_ms=2000) == "applied"
    assert await shop.hear("snapshot", picture(b"1"), at_ms=1000) == "repeated"
    assert await shop.hear("snapshot", picture(b"2"), at_ms=2000) == "repeated"
    assert (await shop.document("snapshot"))["bytes"] == len(PNG) + 1
    assert await shop.pool.fetchval("SELECT picture FROM device_snapshots") == PNG + b"2"


async def test_what_a_device_has_applied_is_known_and_no_more_than_there_is(shop: Shop) -> None:
    await place(commands(shop.pool), STORE)
    await place(commands(shop.pool), STORE)
    applied = "SELECT applied FROM devices WHERE store_id = '12' AND device = 'device:bell-1'"
    await shop.hear("received", {"cursor": f"public:{STORE}@7,store:{STORE}@1"})
    assert await shop.pool.fetchval(applied) == 1
    await shop.hear("received", {"cursor": f"store:{STORE}@999"})
    assert await shop.pool.fetchval(applied) == 0
    assert await reason_of(shop.hear("received", {"cursor": "nonsense"})) == "invalid"


async def test_an_event_that_no_document_may_hold_is_refused(shop: Shop) -> None:
    event = {"boot": 1, "n": 1, "name": "scan", "é": 1}
    assert await reason_of(shop.hear("event", event)) == "invalid"


@pytest.mark.parametrize("levels", [40, 900])
async def test_an_event_that_is_nested_too_deep_is_refused_as_invalid(
    shop: Shop, levels: int
) -> None:
    deep: Any = 0
    for _ in range(levels):
        deep = [deep]
    event = {"boot": 1, "n": 1, "name": "scan", "code": deep}
    assert await reason_of(shop.hear("event", event)) == "invalid"


async def test_a_bell_whose_reason_is_no_text_is_refused_whole(shop: Shop) -> None:
    assert await reason_of(shop.hear("event", PRESSED | {"reason": 7})) == "invalid"
    assert await shop.document("event.bell") is None


async def test_a_device_that_makes_up_names_fills_its_own_channel_and_no_more(shop: Shop) -> None:
    await shop.pool.execute(
        "INSERT INTO channel_heads AS h (channel, head, digest, open_orders, counted)"
        " VALUES ($1, 1, 0, $2, 1)",
        f"device:{STORE}/{BELL}",
        CHANNEL_DOCUMENTS,
    )
    assert await reason_of(shop.hear("event", PRESSED)) == "too-many-documents"


async def test_a_message_waits_for_a_database_that_is_not_there(shop: Shop) -> None:
    shop.pool.terminate()
    with pytest.raises(UnavailableError):
        await shop.hear("event", PRESSED)
