"""A store with devices, their messages and the published events, for the tests of devices."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from core_api.devices.applying import DeviceMessages
from core_api.devices.commands.lifecycle import CommandLifecycle, DeviceCommand, NewCommand
from core_api.devices.measurements import Measurements
from core_api.devices.registrations import RegisterDevice, Registration, Registrations
from core_api.documents.definitions import Definitions
from core_api.documents.demonstration import DEFINITIONS
from core_api.documents.devices import DEVICE_DEFINITIONS
from core_api.edits.plan import Rules
from core_api.printing.results import PrintResults
from core_api.receipts.statements import store_sightings
from core_api.store_rules.sold_out_or_closed import is_obeyed
from core_api.system_edits.document_access import DocumentAccess
from server_common.devices.identity import DeviceKeys
from server_common.devices.messages import Inbound
from server_common.devices.mqtt_topics import MessageKind
from tests.integration.core_api.relaying import PARTITIONS

if TYPE_CHECKING:
    from core_api.postgres.pool import Pool

KEYS: Final = DeviceKeys({"old": b"o" * 32, "new": b"n" * 32}, "new")
RULES: Final = Rules(Definitions([*DEFINITIONS, *DEVICE_DEFINITIONS]), PARTITIONS, is_obeyed)
STORE: Final = "12"
BELL: Final = "bell-1"
PNG: Final = b"\x89PNG\r\n\x1a\n"


def said(
    kind: MessageKind,
    payload: dict[str, Any],
    device: str = BELL,
    *,
    name: str | None = None,
    generation: int | None = None,
    at_ms: int | None = None,
) -> Inbound:
    """A message of a device of the store as the gateway writes it."""
    raw = msgspec.Raw(msgspec.json.encode(payload))
    taken_at = time.time_ns() // 1_000_000 if at_ms is None else at_ms
    return Inbound(STORE, device, kind, taken_at, raw, generation, name)


class Shop:
    """One store's devices in a database."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.told: list[str] = []
        """The channels that got an event, commit by commit."""
        self.now = 1000.0
        self._ids = itertools.count(1)
        self.measurements = Measurements(lambda: self.now)
        self.documents = DocumentAccess(pool, RULES, self.told.extend)
        self.registrations = Registrations(self.documents, KEYS)
        self.commands = CommandLifecycle(self.documents, lambda: f"made-{next(self._ids)}")
        self.messages = DeviceMessages(
            self.documents,
            self.measurements,
            lambda batch: store_sightings(pool, batch),
            PrintResults(RULES).take,
        )

    async def register(self, device: str = BELL, **wanted: Any) -> Registration:
        found, _, _ = await self.registrations.put(STORE, device, RegisterDevice(**wanted))
        return found

    async def ask(self, name: str = "blink", device: str = BELL, **more: Any) -> DeviceCommand:
        command, _ = await self.commands.ask(STORE, device, NewCommand(name, **more), "owner-12")
        return command

    async def hear(
        self, kind: MessageKind, payload: dict[str, Any], device: str = BELL, **more: Any
    ) -> Literal["applied", "repeated"]:
        """Apply a message."""
        return (await self.messages.apply(said(kind, payload, device, **more), 0)).outcome

    async def document(self, key: str, channel: str = f"device:{STORE}/{BELL}") -> Any:
        """A document's value; None: there is none."""
        text = await self.pool.fetchval(
            "SELECT value FROM documents WHERE channel = $1 AND key = $2", channel, key
        )
        return None if text is None else msgspec.json.decode(text)

    async def version(self, key: str) -> int:
        """How often a document of the bell has changed."""
        return int(
            await self.pool.fetchval(
                "SELECT coalesce(max(version), 0) FROM documents WHERE channel = $1 AND key = $2",
                f"device:{STORE}/{BELL}",
                key,
            )
        )

    async def pass_time(self, seconds: float) -> None:
        """Move the times of commands and devices back, as if so many seconds had passed."""
        await self.pool.execute(
            "UPDATE device_commands SET expires_at = expires_at - make_interval(secs => $1)",
            seconds,
        )
        await self.pool.execute(
            "UPDATE device_presence SET heard_at = heard_at - make_interval(secs => $1)", seconds
        )
