"""Applies the messages of devices: each is written, or kept as a dead letter with its reason.

While Postgres or Kafka fails, it waits: the offsets of a batch are committed only when this has
returned. The device is answered after the message's commit and before the offset's: after a crash
in between, the message comes again, is recognised by its number, and is answered again.

A store with a locked row does not delay others: batches are applied concurrently, each message
after those of its device, and answers do not wait for the end of a batch.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from client_sdk.contract.digest import MAX_INTEGER
from client_sdk.contract.json_decoding import decode
from core_api.errors import CoreError
from core_api.ingest.by_key import Lanes
from core_api.ingest.inbound_commands import UNREADABLE, InboundRecord, UnreadRecords
from core_api.ingest.patience import Patience
from core_api.ingest.store_turns import StoreTurns
from core_api.ingest.telling import Telling
from core_api.postgres.errors import IS_REFUSED
from core_api.postgres.pool import any_error_mapped
from server_common.devices.messages import (
    REASONS,
    Inbound,
    Outbound,
    PrintAnswer,
    Ring,
    dead_letter,
)
from server_common.devices.star import StarSaid, decode_said
from server_common.errors import DeviceMessageError
from server_common.logs import get_logger

if TYPE_CHECKING:
    from core_api.devices.applying import Applied, DeviceMessages
    from core_api.devices.metrics import DeviceMetrics
    from core_api.ingest.device_answers import KafkaAnswers

_log = get_logger()

T = TypeVar("T")

_ANSWERED: Final = ("result", "event")
_STAR: Final = "star "
"""The prefix of a printer's address in place of a store; no store has this name."""


class _Numbers(Struct, frozen=True):
    """The parts of a message that an answer needs, read even if the rest is malformed."""

    boot: Annotated[int, Meta(ge=0, le=MAX_INTEGER)]
    n: Annotated[int, Meta(ge=1, le=MAX_INTEGER)]


_numbers: Final = msgspec.json.Decoder(_Numbers)


Hear = Callable[[StarSaid], Awaitable[Sequence[Ring]]]
"""Handles a Star printer's message (`core_api/printing/star/door.py`); gives the replies."""


class DeviceApplier:
    """Applies batches of one partition.

    Args:
        messages: applies each.
        hear: handles the messages of Star printers.
        answers: where answers and dead letters go.
        sleep: waits for some seconds before another try.
        metrics: where the numbers go.
    """

    def __init__(
        self,
        messages: DeviceMessages,
        hear: Hear,
        answers: KafkaAnswers,
        sleep: Callable[[float], Awaitable[None]],
        metrics: DeviceMetrics,
    ) -> None:
        self._messages = messages
        self._hear = hear
        self._answers = answers
        self._patience = Patience(sleep, metrics.retries.inc)
        self._turns = StoreTurns(sleep, metrics.retries.inc)
        self._lanes = Lanes()
        self._telling = Telling(self._tell)
        self._metrics = metrics

    @property
    def trouble(self) -> str | None:
        """The fault that it waits out; None: it is not waiting."""
        return self._patience.trouble

    async def apply(self, records: Sequence[InboundRecord]) -> None:
        """Apply all records, in order within each device, and acknowledge them. The next batch
        may begin before this has returned."""

        async def settle(record: InboundRecord) -> None:
            answer = await self._settle(record)
            if answer is not None:
                await self._telling.tell(answer)

        await self._lanes.apply(records, settle)

    async def set_aside(self, what: UnreadRecords, detail: str) -> None:
        """Keep what cannot be read as a dead letter.

        Args:
            what: the unreadable records as Kafka holds them.
            detail: why it cannot be read.
        """
        place = f"{what.topic}/{what.partition}/{what.first}-{what.last}"
        letter = dead_letter(UNREADABLE, detail, place, what.timestamp_ms or 0, what.raw)
        await self._patience.until_done(lambda: self._answers.bury(letter, None))
        self._metrics.messages.labels(UNREADABLE, "refused").inc()
        self._metrics.dead_letters.labels(UNREADABLE).inc()
        _log.error("device_records_unreadable", detail=detail, place=place)

    async def _settle(self, record: InboundRecord) -> Outbound | None:
        """Apply a record, or keep it as a dead letter. Returns the answer for the device."""
        try:
            message = decode_said(record.value)
        except DeviceMessageError as error:
            await self._bury(record, UNREADABLE, error.reason, str(error))
            return None
        try:
            if isinstance(message, StarSaid):
                await self._settle_star(message)
                return None
            applied = await self._until_free(message.store, lambda: self._apply(message, record))
        except DeviceMessageError as error:
            reason, detail = error.reason, str(error)
        except CoreError as error:
            reason, detail = error.slug, str(error)
        except Exception as error:
            # A bug of ours, or data that the database refuses: it must not block the partition.
            _log.exception("device_message_failed", place=_place(record))
            reason, detail = "internal", type(error).__name__
        else:
            self._metrics.messages.labels(message.kind, applied.outcome).inc()
            return _answer(message, applied.outcome, job=applied.job)
        await self._bury(record, message.kind, reason, detail)
        return None if isinstance(message, StarSaid) else _answer(message, "refused", reason)

    async def _settle_star(self, said: StarSaid) -> None:
        async def hear() -> Sequence[Ring]:
            with any_error_mapped(IS_REFUSED):
                return await self._hear(said)

        rings = await self._until_free(f"{_STAR}{said.mac}", hear)
        if rings:
            await self._patience.until_done(lambda: self._answers.ring(rings))
        self._metrics.messages.labels(said.kind, "applied").inc()

    async def _until_free(self, store: str, action: Callable[[], Awaitable[T]]) -> T:
        return await self._patience.until_done(lambda: self._turns.until_free(store, action))

    async def _tell(self, answers: Sequence[Outbound]) -> None:
        await self._patience.until_done(lambda: self._answers.answer(answers))

    async def _apply(self, message: Inbound, record: InboundRecord) -> Applied:
        with any_error_mapped(IS_REFUSED):
            return await self._messages.apply(message, record.partition)

    async def _bury(self, record: InboundRecord, kind: str, reason: str, detail: str) -> None:
        known = reason if reason in REASONS else "internal"
        letter = dead_letter(
            known, detail, _place(record), max(0, record.timestamp_ms), record.value or b""
        )
        await self._patience.until_done(lambda: self._answers.bury(letter, record.key))
        self._metrics.messages.labels(kind, "refused").inc()
        self._metrics.dead_letters.labels(known).inc()
        _log.warning("device_message_refused", reason=reason, detail=detail, place=_place(record))


def _answer(
    message: Inbound,
    outcome: Literal["applied", "repeated", "refused"],
    problem: str | None = None,
    job: PrintAnswer | None = None,
) -> Outbound | None:
    """The answer to a device's message; None: it expects no answer, or cannot get one."""
    if message.kind not in _ANSWERED or problem == "unknown-device":
        return None
    try:
        numbers = decode(_numbers, message.payload)
    except msgspec.DecodeError:
        return None
    return Outbound(message.store, message.device, numbers.boot, numbers.n, outcome, problem, job)


def _place(record: InboundRecord) -> str:
    return f"{record.topic}/{record.partition}/{record.offset}"
