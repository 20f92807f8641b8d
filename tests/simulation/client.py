"""A client of orders in virtual time, with a consumer, and with crashes.

Machine, deliveries, order book and parser are the SDK's own. The consumer's effects survive a
crash, as in a database. A new client goes on from the cursor that the crashed one had saved.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from client_sdk.checkpoint import Checkpoint
from client_sdk.client.delivery import Deliveries
from client_sdk.client.order_book import OrderBook
from client_sdk.machine.machine import Machine
from client_sdk.machine.messages import (
    Acknowledged,
    CheckDigest,
    Command,
    Deliver,
    Fill,
    Start,
)
from client_sdk.machine.sequencing import Change, Reset
from tests.simulation.core import STORE, TABLES
from tests.simulation.servers import ModelServer
from tests.simulation.shell import SETTINGS, Shell

if TYPE_CHECKING:
    from tests.simulation.world import World

CHANNELS: Final = (f"store:{STORE}", f"table:{STORE}/{TABLES[0]}")


@dataclass(frozen=True)
class Parts:
    """The parts of a schedule; a planted bug replaces one of them."""

    machine: type[Machine] = Machine
    server: type[ModelServer] = ModelServer
    cursor_before_effect: bool = False
    acknowledge_before_handler: bool = False


class SimClient(Shell):
    """One process of a client.

    Args:
        world: its schedule.
        before: the process whose effects and cursor it takes over; None: it is the first.
    """

    def __init__(self, world: World, before: SimClient | None) -> None:
        self.world = world
        self.effects: dict[str, int] = before.effects if before else {}
        """What the handler has done: the last handled seq of each channel."""
        self.orders: dict[str, dict[str, int]] = before.orders if before else {}
        """What the handler knows: the version of each open order, by channel."""
        self.saved: Checkpoint | None = before.saved if before else None
        saved = self.saved
        self.book = OrderBook()
        known = dict(saved.positions) if saved else {}
        self.deliveries = Deliveries(self.book, known, saved.epoch if saved else "")
        machine = world.parts.machine(
            {channel: known.get(channel) for channel in CHANNELS},
            saved.epoch if saved else None,
            SETTINGS,
            world.chance.uniform,
        )
        super().__init__(world, machine)
        self._slow_until = 0.0
        self.feed(Start())

    @property
    def proven_until(self) -> float | None:
        """The stream's watermark: all events before it must have arrived; None: no proof."""
        if not self.shows_live or self._garbled or self.machine.watermark is None:
            return None
        return self.machine.watermark.timestamp()

    def step(self) -> None:
        """Read the stream, let the consumer work, fire the machine's timers, check invariants."""
        self.read_wire()
        self._consume()
        self.keep_time()

    # ── faults ───────────────────────────────────────────────────────────────

    def slow_down(self) -> None:
        """Let the consumer handle nothing for a while."""
        self._slow_until = self.world.now + self.world.chance.uniform(1, 15)

    # ── the consumer ─────────────────────────────────────────────────────────

    def put(self, command: Command) -> None:
        """Take a command of the machine, if it is for the consumer."""
        if isinstance(command, Deliver | Fill | CheckDigest):
            self.deliveries.put(command)

    def _consume(self) -> None:
        while not self.dead and self.world.now >= self._slow_until:
            delivery = self.deliveries.take()
            for diverged in self.deliveries.divergences():
                self.feed(diverged)
            if delivery is None:
                return
            self._handle(delivery)

    def _handle(self, delivery: Deliver) -> None:
        """Handle one change; the process may crash between any two steps."""
        parts, checkpoint = self.world.parts, self.deliveries.checkpoint
        if self._dies():
            return
        if parts.cursor_before_effect or parts.acknowledge_before_handler:
            self.saved = checkpoint
            if parts.acknowledge_before_handler:
                self.feed(Acknowledged(1))
            if self._dies():
                return
            self._effect(delivery.change)
        else:
            # Effect and cursor are one transaction: after a crash both are there, or neither.
            self._effect(delivery.change)
            self.saved = checkpoint
        if self._dies():
            return
        self.deliveries.done(delivery)
        acknowledged = self.deliveries.saved()
        if not parts.acknowledge_before_handler:
            self.feed(acknowledged)

    def _dies(self) -> bool:
        world = self.world
        if world.faults and world.chance.random() < 0.004:
            world.injected["crash in the handler"] += 1
            world.crash_client()
            return True
        return False

    def _effect(self, change: Change) -> None:
        channel = change.channel
        if isinstance(change, Reset):
            self.effects[channel] = change.head
            self.orders[channel] = {order.id: order.version for order in change.orders}
            return
        done = self.effects.get(channel, 0)
        if change.seq != done + 1:
            self.world.fail(f"the handler got {change.id} on top of {done}")
        self.effects[channel] = change.seq
        orders = self.orders.setdefault(channel, {})
        orders.pop(change.data.id, None)
        if change.data.is_open:
            orders[change.data.id] = change.data.version

    def difference(self) -> str | None:
        """How its state differs from Core's; None: it has handled all events."""
        core = self.world.core
        if self.machine.epoch != core.epoch:
            return "it is in another epoch than Core"
        for channel in CHANNELS:
            log = core.truth.channels.get(channel)
            if log is None:
                continue
            if self.effects.get(channel, 0) != log.head:
                return f"{channel} is at {self.effects.get(channel)}, Core at {log.head}"
            open_orders = {o.id: o.version for o in log.orders.values() if o.is_open}
            if self.orders.get(channel, {}) != open_orders:
                return f"the orders of {channel} are not Core's"
            digests = (self.book.digest(channel), self.book.content_digest(channel))
            if digests != (log.digest, log.content):
                return f"the book of {channel} is not Core's"
        return None
