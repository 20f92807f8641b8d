"""Between machine and consumer: deliveries in order, the order book, the cursor. Pure.

One change at a time is current, until the consumer has acknowledged it: asking again before that
returns the same change, so leaving a loop skips nothing. After the acknowledgement the cursor is
saved, and only then the next change follows. `divergences` reports when the digest of the shown
orders differs from Core's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from client_sdk.checkpoint import Checkpoint
from client_sdk.client.order_book import OrderBook
from client_sdk.contract.digest import format_content_digest, format_digest
from client_sdk.errors import ClientError
from client_sdk.machine.messages import Acknowledged, CheckDigest, Deliver, Diverged, Fill
from client_sdk.machine.sequencing import Reset


class Deliveries:
    """The consumer's side of one client.

    Args:
        orders: the order book, updated up to the current change.
        positions: the seqs that the consumer has applied before, by channel.
        epoch: the epoch of those seqs.
    """

    def __init__(self, orders: OrderBook, positions: Mapping[str, int], epoch: str) -> None:
        self._orders = orders
        self._positions = dict(positions)
        self._epoch = epoch
        self._queue: deque[Deliver | Fill | CheckDigest] = deque()
        self._hand: Deliver | None = None
        self._done = False
        self._diverged: list[Diverged] = []

    @property
    def epoch(self) -> str:
        """The epoch of the current change; "": there was none yet."""
        return self._epoch

    @property
    def checkpoint(self) -> Checkpoint:
        """The cursor that includes the current change."""
        return Checkpoint(self._epoch, dict(self._positions))

    @property
    def unsaved(self) -> bool:
        """Whether the current change is acknowledged, but its cursor is not saved yet."""
        return self._done

    def put(self, command: Deliver | Fill | CheckDigest) -> None:
        """Take a command of the machine."""
        self._queue.append(command)

    def take(self) -> Deliver | None:
        """The current change, or the next one; None: there is none now.

        Raises what an observer of the book raises; the change is then current, and the next call
        returns it again.
        """
        while self._hand is None and self._queue:
            command = self._queue.popleft()
            if isinstance(command, Deliver):
                self._hand = command
                self._show(command)
            elif isinstance(command, Fill):
                self._orders.replace(command.snapshot.channel, command.snapshot.orders)
            elif not self._agrees(command):
                self._diverged.append(Diverged(command.channel))
        return self._hand

    def done(self, delivery: Deliver) -> None:
        """Acknowledge the delivery; its cursor must be saved next.

        Raises:
            ClientError: it is not current: another consumer has taken a change since.
        """
        if self._hand is not delivery:
            raise ClientError("another loop has taken over: create one client per consumer")
        self._done = True

    def saved(self) -> Acknowledged:
        """Note that the cursor is saved; the next change may follow."""
        self._hand, self._done = None, False
        return Acknowledged(1)

    def divergences(self) -> list[Diverged]:
        """The divergences that the checks since the last call have found."""
        found, self._diverged = self._diverged, []
        return found

    def _agrees(self, check: CheckDigest) -> bool:
        if format_digest(self._orders.digest(check.channel)) != check.digest:
            return False
        content = self._orders.content_digest(check.channel)
        if content is None or check.content_digest is None:
            return True
        return format_content_digest(content) == check.content_digest

    def _show(self, delivery: Deliver) -> None:
        change = delivery.change
        if delivery.epoch != self._epoch:
            # Seqs of another epoch have no meaning in this one.
            self._epoch, self._positions = delivery.epoch, {}
        if isinstance(change, Reset):
            self._positions[change.channel] = change.head
            self._orders.replace(change.channel, change.orders)
        else:
            self._positions[change.channel] = change.seq
            self._orders.apply(change)
