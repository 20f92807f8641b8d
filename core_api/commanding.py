"""The write path: a command from HTTP or Kafka becomes one transaction.

Each method reads what it must decide on, asks the pure rules (`access`, `orders`, `log`), and
writes with a statement that is conditioned on what it read; commands that come at once share one.
Two writers of one order never wait for each other with a transaction open: the second finds its
condition gone and decides anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg
import msgspec
import structlog

from client_sdk.contract.order import Order
from client_sdk.contract.record import partition_of
from core_api import access
from core_api.access import Caller
from core_api.admission import DEFAULT_OPEN_LIMITS, OpenLimits, check_size, too_many_open
from core_api.errors import (
    ConflictError,
    IdempotencyMismatchError,
    ImpossibleTransitionError,
    NotFoundError,
    StaleVersionError,
)
from core_api.gather import Gatherer
from core_api.idempotency import Idempotency, request_hash
from core_api.log import LogWrite, compose
from core_api.orders import (
    Change,
    ChangeOrder,
    PlaceOrder,
    Transition,
    change,
    decode_order,
    place,
    table_view,
    transition,
)
from core_api.storage.orders import Kept, read_order
from core_api.storage.pool import Pool
from core_api.storage.writes import KeyClaim, Outcome, Write, write_each

log = structlog.get_logger()

MAX_BATCH: Final = 100
"""How many commands may share one transaction."""
MAX_ATTEMPTS: Final = 50
"""How often a write that others overtake is decided anew."""


@dataclass(frozen=True, slots=True)
class Written:
    """The answer to a command: the order as the caller may see it."""

    status: int
    """201 when placed, 200 otherwise, and the same again when replayed."""
    order_id: str
    body: bytes
    version: int
    replayed: bool = False
    """Whether an earlier request with the same key was answered again."""


class Commands:
    """Places, steps and changes orders.

    Args:
        pool: the database.
        partitions: how many shards the outbox has.
        now: the time that events carry; UTC.
        new_id: makes order ids.
        committed: called after each commit with the channels that got an event.
        open_limits: how much may be open at once.
    """

    def __init__(
        self,
        pool: Pool,
        partitions: int,
        now: Callable[[], datetime],
        new_id: Callable[[], UUID],
        committed: Callable[[Sequence[str]], None],
        open_limits: OpenLimits = DEFAULT_OPEN_LIMITS,
    ) -> None:
        self._pool = pool
        self._open_limits = open_limits
        self._partitions = partitions
        self._now = now
        self._new_id = new_id
        self._committed = committed
        self._writes: Gatherer[Write, None, Outcome | asyncpg.PostgresError] = Gatherer(
            lambda writes: write_each(pool, writes, open_limits),
            MAX_BATCH,
            lambda write: write.identities,
        )

    async def place(
        self, caller: Caller, command: PlaceOrder, idempotency: Idempotency | None = None
    ) -> Written:
        """Place an order.

        Raises:
            ForbiddenError: not there, or not by this caller.
            BadRequestError: the order is too large.
            TooManyOpenError: there is no room for more open orders.
            IdempotencyMismatchError: the key was used for another request.
            UnavailableError: the database does not answer.
        """
        access.check_place(caller, command.store_id, command.table_id)
        digest = request_hash("place", "", command, None)
        made = place(
            command, order_id=str(self._new_id()), placed_by=caller.subject, now=self._now()
        )
        write = compose(made)
        body = _shown(caller, write)
        outcome = await self._write(write, _claim(idempotency, digest, 201, body))
        if outcome is Outcome.KEY_TAKEN:
            return await self._replay(idempotency, digest)
        return self._done(write, 201, body)

    async def transition(
        self,
        caller: Caller,
        order_id: str,
        command: Transition,
        if_match: int | None = None,
        idempotency: Idempotency | None = None,
    ) -> Written:
        """Take an order one step further.

        Raises:
            NotFoundError: no such order for this caller.
            ForbiddenError: not by this caller.
            StaleVersionError: `if_match` is not the order's version.
            ImpossibleTransitionError: the step does not follow.
            InvalidError: the command is at odds with itself.
            IdempotencyMismatchError: the key was used for another request.
            ConflictError: others kept writing first.
            UnavailableError: the database does not answer.
        """

        def decide(order: Order) -> Change:
            access.check_transition(caller, order, command.to)
            _check_version(order, if_match)
            return transition(order, command, now=self._now())

        digest = request_hash("transition", order_id, command, if_match)
        return await self._update(caller, order_id, decide, digest, idempotency)

    async def change(
        self,
        caller: Caller,
        order_id: str,
        command: ChangeOrder,
        if_match: int | None = None,
        idempotency: Idempotency | None = None,
    ) -> Written:
        """Replace an order's items, its note, or both; raises as `transition` does."""

        def decide(order: Order) -> Change:
            access.check_change(caller, order)
            _check_version(order, if_match)
            return change(order, command, now=self._now())

        digest = request_hash("change", order_id, command, if_match)
        return await self._update(caller, order_id, decide, digest, idempotency)

    async def read(self, caller: Caller, order_id: str) -> Written:
        """The order as it stands.

        Raises:
            NotFoundError: no such order for this caller.
            UnavailableError: the database does not answer.
        """
        text, _ = await read_order(self._pool, _uuid(order_id))
        order = _found(text, order_id)
        access.check_read(caller, order)
        body = msgspec.json.encode(_visible(caller, order))
        return Written(200, order.id, body, order.version)

    async def _update(
        self,
        caller: Caller,
        order_id: str,
        decide: Callable[[Order], Change],
        digest: bytes,
        idempotency: Idempotency | None,
    ) -> Written:
        subject, key = (idempotency.subject, idempotency.key) if idempotency else (None, None)
        for _ in range(MAX_ATTEMPTS):
            text, kept = await read_order(self._pool, _uuid(order_id), subject, key)
            order = _found(text, order_id)
            access.check_read(caller, order)
            if kept is not None:
                return _again(kept, digest)
            try:
                write = compose(decide(order))
            except (ImpossibleTransitionError, StaleVersionError) as refusal:
                refusal.order = _visible(caller, refusal.order)
                raise
            body = _shown(caller, write)
            outcome = await self._write(write, _claim(idempotency, digest, 200, body))
            if outcome is Outcome.KEY_TAKEN:
                return await self._replay(idempotency, digest)
            if outcome is Outcome.WRITTEN:
                return self._done(write, 200, body)
        raise ConflictError("other writers kept changing this order first: try again")

    async def _replay(self, idempotency: Idempotency | None, digest: bytes) -> Written:
        if idempotency is not None:
            _, kept = await read_order(self._pool, None, idempotency.subject, idempotency.key)
            if kept is not None:
                return _again(kept, digest)
        raise ConflictError("the Idempotency-Key was taken and forgotten meanwhile: try again")

    def _done(self, write: LogWrite, status: int, body: str) -> Written:
        self._committed([entry.channel for entry in write.entries])
        order = write.change.after
        log.info(
            "order_written",
            type=write.change.type,
            order_id=order.id,
            store_id=order.store_id,
            version=order.version,
        )
        return Written(status, order.id, body.encode(), order.version)

    async def _write(self, rows: LogWrite, claim: KeyClaim | None) -> Outcome:
        check_size(rows)
        shard = partition_of(rows.change.after.store_id, self._partitions)
        _, (outcome,) = await self._writes.ask([Write(rows, shard, claim)])
        if isinstance(outcome, Exception):
            raise outcome
        if outcome.scope is not None:
            raise too_many_open(rows, outcome.scope, self._open_limits)
        return outcome


def _check_version(order: Order, if_match: int | None) -> None:
    if if_match is not None and if_match != order.version:
        raise StaleVersionError(
            f"If-Match names version {if_match}, the order is at version {order.version}: "
            "look at it as it stands now and decide again",
            order,
        )


def _visible(caller: Caller, order: Order) -> Order:
    return order if caller.sees_owner_fields else table_view(order)


def _shown(caller: Caller, write: LogWrite) -> str:
    if caller.sees_owner_fields or write.table_view is None:
        return write.owner_view
    return write.table_view


def _claim(
    idempotency: Idempotency | None, digest: bytes, status: int, body: str
) -> KeyClaim | None:
    if idempotency is None:
        return None
    return KeyClaim(idempotency.subject, idempotency.key, digest, status, body)


def _again(kept: Kept, digest: bytes) -> Written:
    if kept.request_hash != digest:
        raise IdempotencyMismatchError(
            "this Idempotency-Key came with another request before: use a new key for a new "
            "request, and send a retry unchanged"
        )
    body = kept.body.encode()
    version = msgspec.json.decode(body, type=Order).version
    return Written(kept.status, kept.order_id, body, version, replayed=True)


def _found(text: str | None, order_id: str) -> Order:
    if text is None:
        raise NotFoundError(f"there is no order {order_id} that this token may see")
    return decode_order(text)


def _uuid(order_id: str) -> str:
    try:
        return str(UUID(order_id))
    except ValueError:
        raise NotFoundError("there is no such order: an order id is a UUID") from None
