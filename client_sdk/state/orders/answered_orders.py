"""Orders from Core's answers to commands, kept until they arrive through the log. Pure.

Without them, an order would be shown as it was before a step that Core has already done, and the
next step would be based on an outdated version. Versions of two logs cannot be compared: after a
restore, each channel is reset at its own time, and until then it shows the previous log's orders.
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
    """What Core's answers say about orders, independent of the log.

    Args:
        own: where the orders are stored, as `known` and `ahead`.
        followed: the channels of orders.
        log: the epoch of the log that the shown orders come from; "": there are none yet.
    """

    def __init__(self, own: OwnCommands, followed: Iterable[str] = (), log: str = "") -> None:
        self._own = own
        self.log = log
        """The epoch of the last change's log; "": there was no change yet."""
        self._logs = dict.fromkeys(followed, log)
        """The epoch of each channel's log."""
        self._latest = dict(self._logs)
        """The latest epoch that each channel has had: a backup may go back to an earlier one."""
        self._ahead_log = ""
        """The epoch of the log of `own.ahead`."""
        self._begun_anew: set[str] = set()
        """The channels that were reset since the first command was sent."""
        self._is_other_log = False
        """Whether Core has changed to another log since then, as after a restore."""
        self._has_gone_back = False
        """Whether Core's log has lost changes since then, within the same epoch."""

    def sent(self) -> None:
        """The first command is being sent: start to note resets."""
        self._begun_anew.clear()
        self._is_other_log = self._has_gone_back = False

    def is_ahead(self, order: Order, epoch: str | None) -> bool:
        """Whether the epoch is later than the one shown for any of the order's channels.

        Epochs sort by time.
        """
        if epoch is None:
            return False
        return any(epoch > self._latest[channel] for channel in self._followed(order))

    def take(self, order: Order, *, repeated: bool, listed: bool, epoch: str | None) -> None:
        """Take an answer whose order has not arrived through the log yet.

        Until then the order is shown as in the answer. After a repeated answer or a snapshot, an
        order that is not shown may be closed already, and no event would ever remove it: it is not
        added. An answer of a later log, as after a restore that this client has not noticed yet, is
        kept until the client follows that log.

        Args:
            order: as the answer has it.
            repeated: the command was done at an earlier try; the order may have changed since.
            listed: whether the log contains the order, at an older version.
            epoch: the answer's log; None: the answer does not name it.
        """
        own = self._own
        if epoch is not None and self.is_ahead(order, epoch):
            # If no log is known yet, no snapshot may ever show whether the order has changed since.
            if not repeated or self.log:
                self._put_ahead(order, epoch)
        elif not self._is_gone(order, epoch):
            is_newest = not repeated and not channels_of(order) & self._begun_anew
            if listed or order.id in own.known or is_newest:
                put(own.known, order.id, order)

    def contained(self, order_id: str, version: int | None) -> None:
        """The order has arrived through the log at this version; None: the log has removed it."""
        known = self._own.known.get(order_id)
        if known is not None and (version is None or version >= known.version):
            del self._own.known[order_id]

    def follow(self, log: str) -> None:
        """Note the log of the orders that came before the first snapshot, or without one.

        Args:
            log: the log's epoch; "": not known.
        """
        if self.log or not log:
            return
        self.log = log
        for channel in self._logs:
            self._begin(channel, log)

    def reset(self, channel: str, listed: Mapping[str, int], *, log: str, same_log: bool) -> None:
        """Replace the channel's orders by its snapshot, except those with a newer answer.

        The snapshot may be older than a command whose answer is already here. Within one log an
        order's versions only grow, so the higher version is the newer one.

        Args:
            channel: the channel that was reset.
            listed: the versions of the orders in its snapshot, by their ids.
            log: the epoch of the snapshot's log.
            same_log: whether it is the same log as before, without lost changes. If not, the
                versions in earlier answers are invalid.
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
        """Set the channel's log; answers that are no longer ahead of any channel become known."""
        own = self._own
        self._logs[channel] = log
        self._latest[channel] = max(log, self._latest.get(channel, ""))
        for order in list(own.ahead.values()):
            if not self.is_ahead(order, self._ahead_log):
                del own.ahead[order.id]
                if not self._is_gone(order, self._ahead_log):
                    own.known[order.id] = order

    def _is_gone(self, order: Order, epoch: str | None) -> bool:
        """Whether the versions in an answer of this epoch may be invalid."""
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
    """The channels that carry the order."""
    table = {f"table:{order.store_id}/{order.table_id}"} if order.table_id is not None else set()
    return {f"store:{order.store_id}"} | table


def put(remembered: dict[K, V], name: K, value: V) -> None:
    """Add the entry as the newest; drop the oldest if there are too many.

    Args:
        remembered: what is changed; its order is the entries' age, oldest first.
        name: the entry's key; an older entry of this name is replaced.
        value: the entry's value.
    """
    remembered.pop(name, None)
    remembered[name] = value
    if len(remembered) > _MAX_REMEMBERED:
        del remembered[next(iter(remembered))]


def _drop_listed(answered: dict[str, Order], channel: str, listed: Mapping[str, int]) -> None:
    for order in list(answered.values()):
        is_newer = listed.get(order.id, order.version) < order.version
        if channel in channels_of(order) and not is_newer:
            del answered[order.id]
