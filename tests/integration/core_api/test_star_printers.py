"""Star printers that are called over MQTT: whose address is whose, and when each is called."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from uuid import uuid4

import pytest

from core_api.broker_admin.registrations import StoredRegistrations
from core_api.devices.registrations import RegisterDevice, Registrations
from core_api.postgres.pool import LOCK_WAIT_S, open_pool
from core_api.printing.star_printers import Ringing, StarPrinters
from server_common.devices.identity import Identity
from server_common.devices.messages import Ring
from tests.integration.core_api.device_shop import KEYS
from tests.integration.core_api.test_print_jobs import Store

NOW_MS = 1_800_000_000_000


class Kitchen:
    """A store with a Star printer, and whom it is called by."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.mac = ":".join(uuid4().hex[n : n + 2] for n in range(0, 12, 2))
        self.stars = StarPrinters(store.pool)
        self.registrations = Registrations(store.documents, KEYS)
        self._rung: list[Ring] = []
        self._ringing = Ringing(store.pool, self._ring, lambda: NOW_MS)

    async def register(self, device: str = "kitchen-1") -> Identity:
        found, _, _ = await self.registrations.put(self.store.id, device, RegisterDevice())
        return found.identity

    async def rung(self) -> list[str]:
        """The addresses that are called now, of this store."""
        self._rung.clear()
        await self._ringing.round()
        return [one.mac for one in self._rung if one.store == self.store.id]

    async def calls(self) -> list[str]:
        """What those are told that are called now, of this store."""
        await self.rung()
        return [one.method for one in self._rung if one.store == self.store.id]

    async def calls_until(self) -> list[int | None]:
        """Until when those may be told that are called now, of this store."""
        await self.rung()
        return [one.until_ms for one in self._rung if one.store == self.store.id]

    async def speaks_at_the_broker(self) -> bool:
        rows = await StoredRegistrations(self.store.pool).after(0)
        return any(one.star_speaks for one in rows if one.identity.store == self.store.id)

    async def pass_time(self, seconds: float) -> None:
        await self.store.pool.execute(
            "UPDATE star_printers SET rung_at = rung_at - make_interval(secs => $1) "
            "WHERE store_id = $2",
            seconds,
            self.store.id,
        )

    async def known_to_the_broker(self, device: str = "kitchen-1") -> str | None:
        rows = await StoredRegistrations(self.store.pool).after(0)
        here = [one for one in rows if one.identity.store == self.store.id]
        return next(one.star_mac for one in here if one.identity.device == device)

    async def _ring(self, rings: Sequence[Ring]) -> None:
        self._rung += rings


@pytest.fixture
async def kitchen(database_url: str) -> AsyncIterator[Kitchen]:
    pool = await open_pool(
        database_url, size=4, command_timeout_s=10, name="stars", lock_wait_s=LOCK_WAIT_S
    )
    yield Kitchen(Store(pool))
    pool.terminate()


async def test_a_printers_address_is_told_to_the_brokers_admin(kitchen: Kitchen) -> None:
    printer = await kitchen.register()
    assert await kitchen.known_to_the_broker() is None
    assert await kitchen.stars.keep(printer, kitchen.mac)
    assert await kitchen.known_to_the_broker() == kitchen.mac
    assert await kitchen.stars.keep(printer, kitchen.mac)


async def test_an_address_that_another_printer_has_is_not_given_away(kitchen: Kitchen) -> None:
    await kitchen.stars.keep(await kitchen.register(), kitchen.mac)
    thief = await kitchen.register("thief")
    assert not await kitchen.stars.keep(thief, kitchen.mac)
    assert await kitchen.known_to_the_broker("thief") is None


async def test_a_registration_that_has_ended_meanwhile_keeps_no_address(kitchen: Kitchen) -> None:
    before = await kitchen.register()
    await kitchen.registrations.put(kitchen.store.id, "kitchen-1", RegisterDevice(rotate=True))
    assert not await kitchen.stars.keep(before, kitchen.mac)
    removed = await kitchen.register("removed")
    await kitchen.registrations.remove(kitchen.store.id, "removed")
    assert not await kitchen.stars.keep(removed, kitchen.mac)
    assert await kitchen.stars.keep(await kitchen.register("next"), kitchen.mac)


async def test_the_address_of_a_removed_printer_is_free(kitchen: Kitchen) -> None:
    await kitchen.stars.keep(await kitchen.register(), kitchen.mac)
    await kitchen.registrations.remove(kitchen.store.id, "kitchen-1")
    assert await kitchen.stars.keep(await kitchen.register("next"), kitchen.mac)


async def test_a_printer_that_is_to_take_its_jobs_over_mqtt_is_called_otherwise(
    kitchen: Kitchen,
) -> None:
    printer = await kitchen.register()
    await kitchen.stars.keep(printer, kitchen.mac)
    assert await kitchen.stars.whose(kitchen.mac) is None
    assert await kitchen.calls() == ["request-post"]
    assert not await kitchen.speaks_at_the_broker()
    assert await kitchen.stars.keep(printer, kitchen.mac, "full")
    assert await kitchen.stars.whose(kitchen.mac) == (printer.channel, [])
    assert await kitchen.calls() == ["request-client-status"]
    assert await kitchen.speaks_at_the_broker()


async def test_a_word_about_a_job_counts_whatever_its_printer_was_told_since(
    kitchen: Kitchen,
) -> None:
    printer = await kitchen.register()
    await kitchen.stars.keep(printer, kitchen.mac, "full")
    await kitchen.stars.keep(printer, kitchen.mac, "trigger")
    assert await kitchen.stars.whose(kitchen.mac) is None
    assert await kitchen.stars.whose(kitchen.mac, any_mode=True) == (printer.channel, [])


async def test_a_call_is_not_kept_for_a_printer_that_is_away(kitchen: Kitchen) -> None:
    await kitchen.stars.keep(await kitchen.register(), kitchen.mac)
    assert await kitchen.calls_until() == [NOW_MS + 10_000]


async def test_a_removed_printers_word_is_nobodys(kitchen: Kitchen) -> None:
    await kitchen.stars.keep(await kitchen.register(), kitchen.mac, "full")
    await kitchen.registrations.remove(kitchen.store.id, "kitchen-1")
    for any_mode in (False, True):
        assert await kitchen.stars.whose(kitchen.mac, any_mode=any_mode) is None


async def test_a_printer_is_called_now_and_then(kitchen: Kitchen) -> None:
    await kitchen.stars.keep(await kitchen.register(), kitchen.mac)
    assert await kitchen.rung() == [kitchen.mac]
    await kitchen.pass_time(9)
    assert await kitchen.rung() == []
    await kitchen.pass_time(2)
    assert await kitchen.rung() == [kitchen.mac]


async def test_a_printer_with_a_new_job_is_called_at_once_and_again_while_it_waits(
    kitchen: Kitchen,
) -> None:
    await kitchen.stars.keep(await kitchen.register(), kitchen.mac)
    await kitchen.rung()
    job = await kitchen.store.a_job()
    assert await kitchen.rung() == [kitchen.mac]
    await kitchen.pass_time(4)
    assert await kitchen.rung() == []
    await kitchen.pass_time(2)
    assert await kitchen.rung() == [kitchen.mac]
    await kitchen.store.held()
    await kitchen.store.do(job, "take")
    await kitchen.store.do(job, "done")
    assert await kitchen.rung() == [kitchen.mac], "another job may wait"
    await kitchen.pass_time(6)
    assert await kitchen.rung() == []
