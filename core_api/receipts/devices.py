"""The receipts that devices report at each sync, collected and stored in batches.

A report costs a sync only a dictionary entry; one statement a second stores the new ones. Reports
that a dying process has not stored come again with each device's next sync.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from client_sdk.contract.channel import Channel, parse_channel
from client_sdk.contract.device import DeviceMode, DeviceReport
from core_api.access.callers import Caller
from core_api.errors import ForbiddenError, UnavailableError
from server_common.limits import UNSTORED_REPORTS
from server_common.logs import get_logger

_log = get_logger()

BATCH: Final = 1000
"""The most reports in one statement, so that it ends well within its time-out."""
_COLLECT_S: Final = 1.0
"""How long a batch collects."""


class Sighting(Struct, frozen=True):
    """One device of one store, as its last sync showed it."""

    store_id: str
    device: str
    subject: str
    mode: DeviceMode
    epoch: str | None
    """The epoch of `applied`; None: the database's present one."""
    applied: int | None
    """The last seq that it has applied; None: not reported, as at its start."""
    is_receipt: bool = False
    """Whether it is a receipt between syncs, which never lowers `applied`."""


class Device(Struct, frozen=True):
    """A device as the API shows it."""

    device: str
    subject: str
    """Of the token that it syncs with."""
    mode: DeviceMode
    """How it received events before its last sync."""
    last_seen: datetime
    cursor: str
    """The last event that it has applied."""
    lag: int
    """Events of the store that it has not applied; a device with a stream reports late."""


def sightings_of(
    caller: Caller,
    report: DeviceReport,
    after: Mapping[Channel, int | None],
    epoch: str,
    heads: Mapping[str, int],
) -> list[Sighting]:
    """The sightings in a sync of an owner's device: one for each store that it follows.

    Args:
        caller: who syncs.
        report: what the device says of itself.
        after: the cursor that it came with.
        epoch: the epoch of that cursor: as the device gave it, or else that of the answer.
        heads: the channels' heads in the answer; a channel that is not among them is ignored.
    """
    if caller.role != "owner":
        return []
    return [
        Sighting(
            channel.root,
            report.device,
            caller.subject,
            report.mode,
            epoch,
            None if seq is None else applied_for_certain(seq, report.pending, heads[str(channel)]),
        )
        for channel, seq in after.items()
        if channel.kind == "store" and str(channel) in heads
    ]


def receipts_of(
    caller: Caller, report: DeviceReport, cursor: Mapping[str, int], epoch: str
) -> list[Sighting]:
    """The receipts that an owner's device sends between its syncs.

    Args:
        caller: who says it.
        report: what the device says of itself.
        cursor: what it has applied; channels that are no stores' are left out.
        epoch: of the cursor.

    Raises:
        ForbiddenError: the caller is no owner of all these stores.
    """
    found: list[Sighting] = []
    for name, seq in cursor.items():
        channel = parse_channel(name)
        if channel.kind != "store":
            continue
        if caller.role != "owner" or not caller.has_store(channel.root):
            raise ForbiddenError(f"only devices of the owner report receipts of {channel}")
        found.append(
            receipt_of(channel.root, report.device, caller.subject, epoch, seq, report.mode)
        )
    return found


def receipt_of(
    store_id: str, device: str, subject: str, epoch: str, seq: int, mode: DeviceMode = "live"
) -> Sighting:
    """One device has applied one store's channel up to `seq`.

    Args:
        store_id: which store.
        device: its name.
        subject: whose token it holds.
        epoch: of the log.
        seq: up to here.
        mode: how it receives events.
    """
    return Sighting(store_id, device, subject, mode, epoch, seq, is_receipt=True)


def merged(before: Sighting, one: Sighting) -> Sighting:
    """Two sightings of a device combined, of which `one` came later.

    A receipt never lowers `applied`, and one of another epoch than a sync's is ignored.
    """
    if before.epoch != one.epoch:
        is_stale = not before.is_receipt or (one.epoch or "") < (before.epoch or "")
        return before if one.is_receipt and is_stale else one
    if not before.is_receipt and not one.is_receipt:
        return one
    applied = max(before.applied or 0, one.applied or 0)
    return replace(one, applied=applied, is_receipt=True)


def applied_for_certain(seq: int, pending: int, head: int) -> int:
    """The seq up to which a device has certainly applied a channel.

    Pending events may belong to any channel, so they are subtracted from each. A cursor beyond the
    channel's head is of another epoch, so nothing is known to be applied.

    Args:
        seq: the channel's, in the device's cursor.
        pending: how many events the device has received and not applied, over all its channels.
        head: the channel's newest seq.
    """
    return 0 if seq > head else max(0, seq - pending)


def note_divergence(
    caller: Caller, report: DeviceReport, after: Mapping[Channel, int | None]
) -> int:
    """Log how many channels the device resets because its orders had another digest. Returns how
    many.

    That must never happen: it is a bug of the client or of Core.

    Args:
        caller: whose token the device has.
        report: what it says of itself; no more than the channels of the request are counted.
        after: the seq of each channel of the request; None: it begins anew.
    """
    found = min(report.diverged, len(after))
    if found:
        _log.warning(
            "digest_diverged",
            subject=caller.subject,
            device=report.device,
            begun_anew=[str(channel) for channel, seq in after.items() if seq is None],
        )
    return found


class DeviceLog:
    """Collects sightings and stores the newest of each device.

    Args:
        store: writes a batch.
        listed: the devices of a store, as far as they are stored.
        dropped: called for each report that the database refuses.
    """

    def __init__(
        self,
        store: Callable[[Sequence[Sighting]], Awaitable[None]],
        listed: Callable[[str], Awaitable[list[Device]]],
        dropped: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._listed = listed
        self._dropped = dropped
        self._unstored: dict[tuple[str, str], Sighting] = {}
        self._flushing = asyncio.Lock()

    def saw(self, sightings: Sequence[Sighting]) -> None:
        """Take these sightings in; they are stored soon."""
        for one in sightings:
            key = (one.store_id, one.device)
            before = self._unstored.get(key)
            if before is not None:
                self._unstored[key] = merged(before, one)
            elif len(self._unstored) < UNSTORED_REPORTS:
                self._unstored[key] = one

    async def of_store(self, store_id: str) -> list[Device]:
        """The devices of a store, the last seen first.

        Raises:
            UnavailableError: the database does not answer.
        """
        await self.flush()
        return await self._listed(store_id)

    async def run(self) -> None:
        """Store new sightings, periodically."""
        while True:
            await asyncio.sleep(_COLLECT_S)
            try:
                await self.flush()
            except UnavailableError as error:
                _log.warning("devices_not_stored", reason=str(error))

    async def flush(self) -> None:
        """Store the new sightings. When it returns, each sighting that came before is stored, also
        those that another flush had begun to store.

        Raises:
            UnavailableError: the database does not answer; it is tried again the next time.
        """
        async with self._flushing:
            unstored = list(self._unstored.values())
            self._unstored = {}
            try:
                while unstored:
                    await self._store_each(unstored[:BATCH])
                    del unstored[:BATCH]
            finally:
                # What a failure or a cancellation left. Sightings that came meanwhile are newer.
                newer, self._unstored = self._unstored, {}
                self.saw([*unstored, *newer.values()])

    async def _store_each(self, batch: Sequence[Sighting]) -> None:
        """Store a batch; find a report that the database refuses by halving, and drop only that
        one."""
        try:
            await self._store(batch)
        except UnavailableError:
            raise
        except Exception as error:
            if len(batch) == 1:
                self._dropped()
                reason = f"{type(error).__name__}: {error}"
                _log.error("device_report_dropped", store_id=batch[0].store_id, reason=reason)
                return
        else:
            return
        middle = len(batch) // 2
        await self._store_each(batch[:middle])
        await self._store_each(batch[middle:])
