"""The write path: a command from HTTP or Kafka becomes one transaction.

Each method reads the order, applies the pure rules (`permissions`, `lifecycle`, `channel_entries`),
and writes with a statement that checks that nothing has changed since; concurrent commands share
one. Two writers of one order never wait for each other with a transaction open: the second finds
that the order has changed, and decides again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from client_sdk.contract.order import Order
from client_sdk.contract.text import is_order_id
from client_sdk.contract.text import shown as quoted
from core_api.access.callers import Caller
from core_api.errors import (
    BadRequestError,
    ConflictError,
    NotFoundError,
    NotTakingOrdersError,
    RefusedStepError,
    SoldOutError,
)
from core_api.orders import permissions as access
from core_api.orders.admission import DEFAULT_OPEN_LIMITS, OpenLimits, check_size, too_many_open
from core_api.orders.answers import Written, again, answer_body, claim_of, visible
from core_api.orders.channel_entries import LogWrite, log_write_of
from core_api.orders.idempotency import Idempotency, request_hash
from core_api.orders.lifecycle import (
    ANY_VERSION,
    ChangeOrder,
    OrderChange,
    PlaceOrder,
    Recall,
    Seen,
    Transition,
    change,
    check_seen,
    decode_stored_order,
    place,
    recall,
    transition,
)
from core_api.orders.locked_rows import held_by_others
from core_api.orders.reading import OrderRead, read_order
from core_api.orders.writes import KeyClaim, OrderWrite, WriteOutcome, WriteResult
from core_api.orders.writing import OrderWriter
from core_api.postgres.lock_queues import LockQueues
from core_api.postgres.pool import Pool
from core_api.postgres.queues import Queues
from core_api.store_rules.cache import RulesCache
from core_api.store_rules.obeying import obeying
from core_api.store_rules.sold_out_or_closed import (
    StoreRules,
    check_items,
    check_taking,
    ordered_more,
)
from server_common.kafka_records.events import partition_of
from server_common.logs import get_logger

log = get_logger()

MAX_ATTEMPTS: Final = 50
"""How often a write is decided again after another process wrote first; within this process,
writers of an order wait for each other."""
MAX_OF_AN_ORDER: Final = 250
"""How many changes of one order may wait for each other."""


class OrderService:
    """Places, steps and changes orders.

    Args:
        pool: the database.
        partitions: how many shards the outbox has.
        now: the time that events carry; UTC.
        new_id: makes order ids.
        committed: called after each commit with the channels that got an event.
        writing: the database, by connections that wait for a lock shortly only; None: `pool`.
        lock_turns: how many of those connections may be busy with writes that wait for a lock.
        open_limits: how much may be open at once.
    """

    def __init__(
        self,
        pool: Pool,
        partitions: int,
        now: Callable[[], datetime],
        new_id: Callable[[], UUID],
        committed: Callable[[Sequence[str]], None],
        writing: Pool | None = None,
        lock_turns: int = 1,
        open_limits: OpenLimits = DEFAULT_OPEN_LIMITS,
    ) -> None:
        self._pool = pool
        self._open_limits = open_limits
        self._partitions = partitions
        self._now = now
        self._new_id = new_id
        self._committed = committed
        by = pool if writing is None else writing
        self._writes: LockQueues[OrderWrite, WriteResult | Exception] = LockQueues(
            OrderWriter(by, open_limits).write_each,
            lambda writes: held_by_others(by, writes),
            lock_turns,
        )
        self._rules = RulesCache(pool)
        self._queues = Queues(MAX_OF_AN_ORDER, "too many changes of this order wait already")

    @property
    def waiting_for_lock(self) -> int:
        """How many writes wait for a lock that another transaction holds."""
        return self._writes.waiting_for_lock

    async def place(
        self, caller: Caller, command: PlaceOrder, idempotency: Idempotency | None = None
    ) -> Written:
        """Place an order.

        Args:
            caller: who asks.
            command: the order.
            idempotency: the key that identifies a repeat; None: there is none.

        Raises:
            ForbiddenError: this caller may not order there.
            InvalidError: its total is too large.
            BadRequestError: the order is too large.
            TooManyOpenError: there is no room for more open orders.
            NotTakingOrdersError: the store takes no orders now.
            SoldOutError: something in it is sold out.
            IdempotencyMismatchError: the key was used for another request.
            ConflictError: what the store has sold out kept changing, or the key expired meanwhile.
            UnavailableError: the database does not answer, or too many writes wait for a lock.
        """
        access.check_place(caller, command.store_id, command.table_id)
        hashed = request_hash("place", "", command, ANY_VERSION) if idempotency else b""
        made = place(
            command, order_id=str(self._new_id()), placed_by=caller.subject, now=self._now()
        )
        write = log_write_of(made, None, caller.subject)
        body = answer_body(caller, write)
        try:
            result = await self._place(write, claim_of(idempotency, hashed, 201, body))
        except (BadRequestError, NotTakingOrdersError, SoldOutError):
            # It may have been accepted earlier: by a Core with another limit, or before it was sold
            # out.
            answered = await self._answered(idempotency, hashed)
            if answered is None:
                raise
            return answered
        if result.outcome is WriteOutcome.KEY_TAKEN:
            return await self._replay(idempotency, hashed)
        return self._done(write, 201, body, result.epoch)

    async def _place(self, write: LogWrite, claim: KeyClaim | None) -> WriteResult:
        """Write a new order, if its store's rules permit it."""
        order = write.change.after
        names = [item.name for item in order.items]

        def check(rules: StoreRules) -> None:
            check_taking(rules, order.store_id)
            check_items(rules, names)

        return await self._obeying(check, write, claim)

    async def _obeying(
        self, check: Callable[[StoreRules], None], write: LogWrite, claim: KeyClaim | None
    ) -> WriteResult:
        return await obeying(
            self._rules,
            write.change.after.store_id,
            check,
            lambda number: self._write(write, claim, number),
            lambda result: result.outcome is WriteOutcome.RULES_CHANGED,
        )

    async def transition(
        self,
        caller: Caller,
        order_id: str,
        command: Transition,
        seen: Seen = ANY_VERSION,
        idempotency: Idempotency | None = None,
    ) -> Written:
        """Take an order one step further.

        Args:
            caller: who asks.
            order_id: which order.
            command: the step.
            seen: at which version the caller saw the order.
            idempotency: the key that identifies a repeat; None: there is none.

        Raises:
            NotFoundError: no such order for this caller.
            ForbiddenError: not by this caller.
            StaleVersionError: the order is not at the version that was seen.
            ImpossibleTransitionError: the step does not follow.
            InvalidError: the command contradicts itself.
            IdempotencyMismatchError: the key was used for another request.
            ConflictError: other writers were first too often.
            UnavailableError: the database does not answer.
        """

        def decide(order: Order) -> OrderChange:
            access.check_transition(caller, order, command.to)
            check_seen(order, seen)
            return transition(order, command, now=self._now())

        hashed = request_hash("transition", order_id, command, seen) if idempotency else b""
        return await self._update(caller, order_id, decide, hashed, idempotency)

    async def recall(
        self,
        caller: Caller,
        order_id: str,
        command: Recall,
        seen: Seen = ANY_VERSION,
        idempotency: Idempotency | None = None,
    ) -> Written:
        """Take an order one step back; takes the same as `transition`, and raises as it does.

        Args:
            caller, order_id, seen, idempotency: as for `transition`.
            command: the step back.

        Raises:
            TooManyOpenError: it was closed, and there is no room for more open orders.
        """

        def decide(order: Order) -> OrderChange:
            access.check_recall(caller, order)
            check_seen(order, seen)
            return recall(order, command, now=self._now())

        hashed = request_hash("recall", order_id, command, seen) if idempotency else b""
        return await self._update(caller, order_id, decide, hashed, idempotency)

    async def change(
        self,
        caller: Caller,
        order_id: str,
        command: ChangeOrder,
        seen: Seen = ANY_VERSION,
        idempotency: Idempotency | None = None,
    ) -> Written:
        """Replace items, note, or both; takes the same as `transition`, and raises as it does.

        Args:
            caller, order_id, seen, idempotency: as for `transition`.
            command: what replaces the items, the note, or both.

        Raises:
            InvalidError: it changes nothing, or the total becomes too large.
            BadRequestError: the order becomes too large.
            TooManyOpenError: the order grows, and there is no room for more.
            SoldOutError: something that it has more of is sold out.
        """

        def decide(order: Order) -> OrderChange:
            access.check_change(caller, order)
            check_seen(order, seen)
            return change(order, command, now=self._now())

        hashed = request_hash("change", order_id, command, seen) if idempotency else b""
        return await self._update(caller, order_id, decide, hashed, idempotency)

    async def read(self, caller: Caller, order_id: str) -> Written:
        """The order as it stands.

        Raises:
            NotFoundError: no such order for this caller.
            UnavailableError: the database does not answer.
        """
        order, epoch = await self._find(caller, order_id)
        body = msgspec.json.encode(visible(caller, order))
        return Written(200, order.id, body, order.version, epoch)

    async def find(self, caller: Caller, order_id: str) -> Order:
        """The order as its store sees it; raises as `read` does."""
        order, _ = await self._find(caller, order_id)
        return order

    async def _find(self, caller: Caller, order_id: str) -> tuple[Order, str]:
        _check_order_id(order_id)
        found = await read_order(self._pool, order_id)
        order = _found(found, order_id)
        access.check_read(caller, order)
        return order, found.epoch

    async def _update(
        self,
        caller: Caller,
        order_id: str,
        decide: Callable[[Order], OrderChange],
        hashed: bytes,
        idempotency: Idempotency | None,
    ) -> Written:
        _check_order_id(order_id)
        async with self._queues.turn(order_id):
            for _ in range(MAX_ATTEMPTS):
                done = await self._try_update(caller, order_id, decide, hashed, idempotency)
                if done is not None:
                    return done
        raise ConflictError("other writers kept changing this order first: try again")

    async def _try_update(
        self,
        caller: Caller,
        order_id: str,
        decide: Callable[[Order], OrderChange],
        hashed: bytes,
        idempotency: Idempotency | None,
    ) -> Written | None:
        """Decide on the current order, and write; None: another process wrote first."""
        subject, key = (idempotency.subject, idempotency.key) if idempotency else (None, None)
        found = await read_order(self._pool, order_id, subject, key)
        order = _found(found, order_id)
        access.check_read(caller, order)
        if found.kept is not None:
            return again(found.kept, found.epoch, hashed)
        try:
            write = log_write_of(decide(order), found.views, caller.subject)
        except RefusedStepError as refusal:
            refusal.order, refusal.epoch = visible(caller, refusal.order), found.epoch
            raise
        body = answer_body(caller, write)
        claim = claim_of(idempotency, hashed, 200, body)
        more = ordered_more(order.items, write.change.after.items)
        if more:
            result = await self._obeying(lambda rules: check_items(rules, more), write, claim)
        else:
            result = await self._write(write, claim)
        if result.outcome is WriteOutcome.KEY_TAKEN:
            return await self._replay(idempotency, hashed)
        if result.outcome is not WriteOutcome.WRITTEN:
            return None
        return self._done(write, 200, body, result.epoch)

    async def _replay(self, idempotency: Idempotency | None, hashed: bytes) -> Written:
        answered = await self._answered(idempotency, hashed)
        if answered is None:
            raise ConflictError("the Idempotency-Key was used and expired meanwhile: try again")
        return answered

    async def _answered(self, idempotency: Idempotency | None, hashed: bytes) -> Written | None:
        """The answer that is kept under the key."""
        if idempotency is None:
            return None
        found = await read_order(self._pool, None, idempotency.subject, idempotency.key)
        return None if found.kept is None else again(found.kept, found.epoch, hashed)

    def _done(self, write: LogWrite, status: int, body: str, epoch: str) -> Written:
        self._committed([entry.channel for entry in write.entries])
        order = write.change.after
        log.info(
            "order_written",
            type=write.change.type,
            order_id=order.id,
            store_id=order.store_id,
            version=order.version,
        )
        return Written(status, order.id, body.encode(), order.version, epoch)

    async def _write(
        self, rows: LogWrite, claim: KeyClaim | None, rules: int | None = None
    ) -> WriteResult:
        check_size(rows)
        shard = partition_of(rows.change.after.store_id, self._partitions)
        result = await self._writes.ask(OrderWrite(rows, shard, claim, rules))
        if isinstance(result, Exception):
            raise result
        if (scope := result.outcome.scope) is not None:
            raise too_many_open(rows, scope, self._open_limits)
        return result


def _found(found: OrderRead, order_id: str) -> Order:
    if found.views is None:
        raise NotFoundError(f"there is no order {order_id} that this token may see")
    return decode_stored_order(found.views.owner)


def _check_order_id(order_id: str) -> None:
    """Refuse a text that cannot be an order's id like the id of an order that does not exist.

    Another spelling of an order's id is not its id: accepting it would reveal that the order
    exists.
    """
    if not is_order_id(order_id):
        raise NotFoundError(f"there is no order {quoted(order_id)} that this token may see")
