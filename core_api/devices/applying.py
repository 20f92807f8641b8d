"""One message of a device, applied once in one transaction.

What a result or an event changes is written together with its number, so that a message which comes
again, because its answer was lost or a process died, changes nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal, NamedTuple

from client_sdk.contract.channel import Channel
from client_sdk.contract.cursor import parse_cursor
from client_sdk.contract.errors import CursorError
from client_sdk.contract.state.values import Value
from core_api.devices.commands.lifecycle import take_result
from core_api.devices.measurements import Measured, Measurements, without_fractions
from core_api.devices.presence import heard, status_value
from core_api.devices.registrations import Registration, find_kept
from core_api.devices.times import rfc3339
from core_api.devices.work import DeviceTransaction
from core_api.documents.refusals import CallRefusedError, RefusedEditError
from core_api.edits.reading import Connection
from core_api.errors import TooManyDocumentsError
from core_api.postgres.pool import transaction
from core_api.receipts.devices import Sighting, applied_for_certain
from core_api.system_edits.document_access import DocumentAccess
from core_api.system_edits.in_transaction import SystemChange, change_documents
from server_common.devices.identity import Identity
from server_common.devices.messages import (
    Event,
    Inbound,
    Payload,
    PrintAnswer,
    Received,
    Result,
    Snapshot,
    Status,
    Telemetry,
    payload_of,
)
from server_common.errors import DeviceMessageError

AppliedOutcome = Literal["applied", "repeated"]


class Printed(NamedTuple):
    """The result of a printer's message."""

    answer: PrintAnswer
    channels: Sequence[str]
    """Those that got an event."""


class Applied(NamedTuple):
    """The result of a message."""

    outcome: AppliedOutcome
    job: PrintAnswer | None = None
    """The reply for its printer; not known any more for a repeated message."""


TakePrinted = Callable[[Connection, Identity, Result], Awaitable[Printed | None]]
"""Notes in the transaction what a printer says of a job; None: there is no such job."""

BELL: Final = "bell"
"""An event of this name rings the bell of the device's table."""


class _Found(NamedTuple):
    """What to do with a message in its transaction."""

    outcome: AppliedOutcome
    changes: Sequence[SystemChange] = ()
    printed: Printed | None = None


class DeviceMessages:
    """Applies messages.

    Args:
        documents: those that it changes.
        measurements: gathers what is measured.
        sighted: keeps what a device has applied of the store's orders.
        printed: takes what printers say of their jobs.
    """

    def __init__(
        self,
        documents: DocumentAccess,
        measurements: Measurements,
        sighted: Callable[[Sequence[Sighting]], Awaitable[None]],
        printed: TakePrinted,
    ) -> None:
        self._documents = documents
        self._measurements = measurements
        self._sighted = sighted
        self._printed = printed

    async def apply(self, message: Inbound, partition: int) -> Applied:
        """Apply a message that was read from this partition.

        Raises:
            DeviceMessageError: it can never be applied.
            UnavailableError: Postgres does not answer, or somebody holds a lock.
        """
        payload = payload_of(message.kind, message.payload)
        if isinstance(payload, Telemetry):
            measured = Measured(message.at_ms, payload, message.generation, partition)
            self._measurements.note((message.store, message.device), message.name or "", measured)
            return Applied("applied")
        sightings: list[Sighting] = []
        try:
            async with transaction(self._documents.pool) as connection:
                device = await admitted(connection, message)
                work = DeviceTransaction(connection, device, partition)
                found = await self._changes(work, message, payload)
                channels = await change_documents(connection, found.changes, self._documents.rules)
                if isinstance(payload, Received):
                    sightings = await _sightings(work, payload)
        except RefusedEditError as error:
            raise DeviceMessageError(str(error), "invalid") from error
        except TooManyDocumentsError as error:
            raise DeviceMessageError(str(error), error.slug) from error
        printed = found.printed
        self._documents.committed(channels if printed is None else [*channels, *printed.channels])
        if sightings:
            await self._sighted(sightings)
        return Applied(found.outcome, None if printed is None else printed.answer)

    async def _changes(self, work: DeviceTransaction, message: Inbound, payload: Payload) -> _Found:
        if isinstance(payload, Status):
            return await self._status(work, payload)
        await work.is_still_there()
        if isinstance(payload, Result | Event):
            if not await work.comes_first(payload.boot, payload.n):
                return _Found("repeated")
            if isinstance(payload, Result):
                return await self._answered(work, payload)
            return _Found("applied", self._happened(work, payload, message.at_ms))
        if isinstance(payload, Snapshot):
            return await _pictured(work, payload, message.at_ms)
        return _Found("applied")

    async def _status(self, work: DeviceTransaction, status: Status) -> _Found:
        after = heard(await work.presence(), status)
        if after is None:
            return _Found("repeated")
        await work.keep_presence(after)
        change = SystemChange(
            work.channel, "status", lambda current, now: status_value(current, status, now)
        )
        return _Found("applied", [change])

    async def _answered(self, work: DeviceTransaction, result: Result) -> _Found:
        identity = work.device.identity
        changes = await take_result(work.connection, identity, result)
        if changes is not None:
            return _Found("applied", changes)
        printed = await self._printed(work.connection, identity, result)
        if printed is not None:
            return _Found("applied", printed=printed)
        raise DeviceMessageError(f"no command {result.id} was sent to it", "unknown-command")

    def _happened(self, work: DeviceTransaction, event: Event, at_ms: int) -> list[SystemChange]:
        value: Value = {
            "boot": event.boot,
            "n": event.n,
            "data": without_fractions(event.data),
            "at": _time(at_ms, work.device.now),
        }
        changes = [SystemChange(work.channel, f"event.{event.name}", lambda _old, _now: value)]
        if event.name == BELL and work.device.table is not None:
            changes += self._rung(work.device, event.data)
        return changes

    def _rung(self, device: Registration, data: dict[str, Any]) -> list[SystemChange]:
        """Turn the press of a table's bell into the call `ring`, if the document is defined."""
        definition = self._documents.rules.definitions.of("party", BELL)
        ring = None if definition is None else definition.calls.get("ring")
        if ring is None:
            return []
        reason = data.get("reason", "")

        def rung(current: Value | None, _now: datetime) -> Value | None:
            try:
                return ring(current, {"reason": reason})
            except CallRefusedError as error:
                raise DeviceMessageError(str(error), "invalid") from error

        return [SystemChange(Channel("party", device.identity.store, device.table), BELL, rung)]


async def admitted(connection: Connection, message: Inbound) -> Registration:
    """The registration of the device that says this.

    Raises:
        DeviceMessageError: it is not registered, or has another generation by now.
    """
    found = await find_kept(connection, message.store, message.device)
    if found is None or message.generation not in (None, found.identity.generation):
        raise DeviceMessageError(
            f"{message.store}/{message.device} is not registered, or has another password",
            "unknown-device",
        )
    return found


async def _sightings(work: DeviceTransaction, received: Received) -> list[Sighting]:
    name = f"store:{work.channel.root}"
    seq = _applied(received.cursor, name)
    if seq is None:
        return []
    one = work.device.identity
    applied = applied_for_certain(seq, 0, await work.head_of(name))
    return [Sighting(one.store, f"device:{one.device}", one.user, "live", None, applied)]


async def _pictured(work: DeviceTransaction, snapshot: Snapshot, at_ms: int) -> _Found:
    picture = snapshot.picture()
    digest = hashlib.sha256(picture).hexdigest()
    at = min(work.device.now, datetime.fromtimestamp(at_ms / 1000, UTC))
    if not await work.keep_picture(snapshot.media_type, picture, digest, at):
        return _Found("repeated")
    value: Value = {
        "media_type": snapshot.media_type,
        "bytes": len(picture),
        "sha256": digest,
        "at": rfc3339(at),
    }
    return _Found("applied", [SystemChange(work.channel, "snapshot", lambda _old, _now: value)])


def _time(at_ms: int, now: datetime) -> str:
    """The gateway's time as a document has it, never later than now."""
    return rfc3339(min(now, datetime.fromtimestamp(at_ms / 1000, UTC)))


def _applied(cursor: str, channel: str) -> int | None:
    """The seq of a channel in a cursor; None: the cursor does not have the channel.

    Raises:
        DeviceMessageError: it is no cursor.
    """
    try:
        return parse_cursor(cursor).get(channel)
    except CursorError as error:
        raise DeviceMessageError(str(error), "invalid") from error
