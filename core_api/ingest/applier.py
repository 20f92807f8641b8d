"""Applies commands from Kafka: each is written, or put into the dead letter topic with its reason.

While Postgres or Kafka fails, it waits: the offsets of a batch are committed only when this has
returned. A command that is delivered twice changes nothing the second time, because its idempotency
key has kept the first answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final

from core_api.errors import CoreError
from core_api.ingest.by_key import apply_by_key
from core_api.ingest.inbound_commands import (
    UNREADABLE,
    InboundRecord,
    PlaceCommand,
    TransitionCommand,
    UnreadRecords,
    dead_letter_headers,
    decode_command,
    unread_letter,
)
from core_api.ingest.patience import Patience
from core_api.postgres.errors import IS_REFUSED
from core_api.postgres.pool import any_error_mapped
from server_common.logs import get_logger

if TYPE_CHECKING:
    from core_api.ingest.dead_letter_topic import KafkaDeadLetters
    from core_api.ingest.metrics import IngestMetrics
    from core_api.orders.service import OrderService

_log = get_logger()

KEYS_AT_ONCE: Final = 16
"""How many keys' commands of one partition are applied at the same time."""


class Applier:
    """Applies batches of one partition.

    Args:
        commands: the write path.
        dead_letters: where commands go that cannot be applied.
        sleep: waits for some seconds before another try.
        metrics: where the numbers go.
    """

    def __init__(
        self,
        commands: OrderService,
        dead_letters: KafkaDeadLetters,
        sleep: Callable[[float], Awaitable[None]],
        metrics: IngestMetrics,
    ) -> None:
        self._commands = commands
        self._dead_letters = dead_letters
        self._patience = Patience(sleep, metrics.retries.inc)
        self._metrics = metrics

    @property
    def trouble(self) -> str | None:
        """The fault that it waits out; None: it is not waiting."""
        return self._patience.trouble

    async def apply(self, records: Sequence[InboundRecord]) -> None:
        """Apply all records, in order within each key. Returns when all are applied or set
        aside."""
        await apply_by_key(records, KEYS_AT_ONCE, self._settle)

    async def set_aside(self, what: UnreadRecords, detail: str) -> None:
        """Store in the dead letter topic what cannot be read. Returns when that is done.

        Args:
            what: the unreadable records as Kafka holds them.
            detail: why it cannot be read.
        """
        record, headers = unread_letter(what, detail)
        await self._patience.until_done(lambda: self._dead_letters.send(record, headers))
        self._metrics.commands.labels("refused").inc()
        self._metrics.dead_letters.labels(UNREADABLE).inc()
        _log.error(
            "records_unreadable",
            detail=detail,
            topic=what.topic,
            partition=what.partition,
            first_offset=what.first,
            last_offset=what.last,
        )

    async def _settle(self, record: InboundRecord) -> None:
        try:
            outcome = await self._patience.until_done(lambda: self._apply(record))
        except CoreError as error:
            await self._bury(record, error.slug, str(error))
        except Exception as error:
            # A bug of ours, or data that the database refuses: it must not block the partition.
            _log.exception(
                "command_failed",
                order_id=_order_of(record),
                partition=record.partition,
                offset=record.offset,
            )
            await self._bury(record, "internal", f"{type(error).__name__}: {_first_line(error)}")
        else:
            self._metrics.commands.labels(outcome).inc()

    async def _apply(self, record: InboundRecord) -> str:
        command = decode_command(record.value)
        caller, idempotency = command.caller, command.idempotency
        with any_error_mapped(IS_REFUSED):
            if isinstance(command, PlaceCommand):
                written = await self._commands.place(caller, command.body, idempotency)
            elif isinstance(command, TransitionCommand):
                written = await self._commands.transition(
                    caller, command.order_id, command.body, command.seen, idempotency
                )
            else:
                written = await self._commands.change(
                    caller, command.order_id, command.body, command.seen, idempotency
                )
        return "repeated" if written.replayed else "applied"

    async def _bury(self, record: InboundRecord, slug: str, detail: str) -> None:
        headers = dead_letter_headers(record, slug, detail)
        await self._patience.until_done(lambda: self._dead_letters.send(record, headers))
        self._metrics.commands.labels("refused").inc()
        self._metrics.dead_letters.labels(slug).inc()
        _log.warning(
            "command_refused",
            reason=slug,
            detail=detail,
            order_id=_order_of(record),
            partition=record.partition,
            offset=record.offset,
        )


def _order_of(record: InboundRecord) -> str | None:
    """The order that the command names; None: it places a new one, or cannot be read."""
    try:
        return getattr(decode_command(record.value), "order_id", None)
    except CoreError:
        return None


def _first_line(error: Exception) -> str:
    """The first line of an error: the lines that Postgres adds may quote the row."""
    return str(error).partition("\n")[0]
