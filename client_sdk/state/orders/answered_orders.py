"""Orders as Core's answers to commands gave them, until its log has brought them here. Pure.

Without them an order would be shown as before a step that Core has answered, and the next step
would be made on a version that is gone. Versions of two logs cannot be compared: after a restore
each channel begins anew, one after the other, and until then what is shown of it is of the log
before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

from client_sdk.contract.order import Order
from client_sdk.state.orders.view import OwnCommands

_MAX_REMEMBERED = 1000
"""How much of a kind is remembered: the newest."""

K = TypeVar("K")
V = TypeVar("V")


class AnsweredOrders:
    """What answers say of orders beside the log.

    Args:
        own: where it is kept, as `known` and `ahead`.
        followed: the channels of orders.
        log: the log of the orders that are shown, by its epoch; "": there are none yet.
    """

    def __init__(self, own: OwnCommands, followed: Iterable[str] = (), log: str = "") -> None:
        self._own = own
        self.log = log
        """The epoch of the log that the last change was of; "": there was none yet."""
        self._logs = dict.fromkeys(followed, log)
        """The epoch of each channel's log."""
        self._latest = dict(self._logs)
        """The latest epoch that each channel has had: a backup may go back to an earlier one."""
        self._ahead_log = ""
        """The epoch of the log of `own.ahead`."""
        self._begun_anew: set[str] = set()
        """The channels that have since the first command was sent."""
        self._is_other_log = False
        """Whether Core's log has become another one since then, as after a restore."""
        self._has_gone_back = False
        """Whether it has gone back since then, in the epoch that it had."""

    def sent(self) -> None:
        """The first command goes out."""
        self._begun_anew.clear()
        self._is_other_log = self._has_gone_back = False

    def is_ahead(self, order: Order, epoch: str | None) -> bool:
        """Whether an answer of this log is of a later one than what is shown of its channels.

        The names of epochs sort by time.
        """
        if epoch is None:
            return False
        return any(epoch > self._latest[channel] for channel in self._followed(order))

    def take(self, order: Order, *, repeated: bool, listed: bool, epoch: str | None) -> None:
        """Take an answer of which the log has still to bring the order.

        The order is shown as the answer has it until then. One that is not shown may have ended
        beyond what the log will bring, after a repeated answer or a snapshot: it would be shown for
        ever. An answer of a later log than the one that is followed, as after a restore that this
        client has still to learn of, holds until that log begins here.

        Args:
            order: as the answer has it.
            repeated: the command was done at an earlier try; the order may have gone on since.
            listed: whether the log has brought the order, at an older version.
            epoch: the log that the answer is of; None: it does not say.
        """
        own = self._own
        if epoch is not None and self.is_ahead(order, epoch):
            # Where no log has begun, no snapshot may come that says what became of it since.
            if not repeated or self.log:
                self._put_ahead(order, epoch)
        elif not self._is_gone(order, epoch):
            is_newest = not repeated and not channels_of(order) & self._begun_anew
            if listed or order.id in own.known or is_newest:
                put(own.known, order.id, order)

    def contained(self, order_id: str, version: int | None) -> None:
        """The log has brought the order at this version; None: it is not there any more."""
        known = self._own.known.get(order_id)
        if known is not None and (version is None or version >= known.version):
            del self._own.known[order_id]

    def follow(self, log: str) -> None:
        """What was there before the first snapshot, or came without one, is of this log.

        Args:
            log: its epoch; "": nobody knows.
        """
        if self.log or not log:
            return
        self.log = log
        for channel in self._logs:
            self._begin(channel, log)

    def reset(self, channel: str, listed: Mapping[str, int], *, log: str, same_log: bool) -> None:
        """The channel's orders are what its snapshot says, but for answers that are newer.

        The snapshot may have been read before a command was done whose answer is here already. In
        one log an order's versions only grow, so the higher one is the newer one.

        Args:
            channel: what has begun anew.
            listed: the versions of the orders in its snapshot, by their ids.
            log: the epoch of the snapshot's log.
            same_log: whether it is the log that was followed before, and has not gone back. If not,
                the versions that its answers named are gone.
        """
        own = self._own
        if not same_log:
            self._is_other_log = True
            self._has_gone_back = log == self.log
            own.known.clear()
        self.log = log
        self._begun_anew.add(channel)
        _drop_listed(own.known, channel, listed)
        if self._ahead_log < log:
            own.ahead.clear()
        elif self._ahead_log == log:
            _drop_listed(own.ahead, channel, listed)
        self._begin(channel, log)

    def _followed(self, order: Order) -> list[str]:
        return [channel for channel in channels_of(order) if channel in self._logs]

    def _begin(self, channel: str, log: str) -> None:
        """The channel's orders are of this log; what is ahead of no channel any more is known."""
        own = self._own
        self._logs[channel] = log
        self._latest[channel] = max(log, self._latest.get(channel, ""))
        for order in list(own.ahead.values()):
            if not self.is_ahead(order, self._ahead_log):
                del own.ahead[order.id]
                if not self._is_gone(order, self._ahead_log):
                    own.known[order.id] = order

    def _is_gone(self, order: Order, epoch: str | None) -> bool:
        """Whether the versions that an answer names may be gone."""
        if epoch is None or self._has_gone_back:
            return self._is_other_log
        return any(epoch != self._logs[channel] for channel in self._followed(order))

    def _put_ahead(self, order: Order, epoch: str) -> None:
        own = self._own
        if epoch < self._ahead_log:
            return
        if epoch > self._ahead_log:
            own.ahead.clear()
            self._ahead_log = epoch
        put(own.ahead, order.id, order)


def channels_of(order: Order) -> set[str]:
    """The channels that tell of the order."""
    table = {f"table:{order.store_id}/{order.table_id}"} if order.table_id is not None else set()
    return {f"store:{order.store_id}"} | table


def put(remembered: dict[K, V], name: K, value: V) -> None:
    """Remember it as the newest; the oldest goes where there are too many."""
    remembered.pop(name, None)
    remembered[name] = value
    if len(remembered) > _MAX_REMEMBERED:
        del remembered[next(iter(remembered))]


def _drop_listed(answered: dict[str, Order], channel: str, listed: Mapping[str, int]) -> None:
    for order in list(answered.values()):
        is_newer = listed.get(order.id, order.version) < order.version
        if channel in channels_of(order) and not is_newer:
            del answered[order.id]
