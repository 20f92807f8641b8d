"""A program that follows orders over MQTT, with its consumer; one process runs after the other.

The client is the SDK's own. The consumer's effects survive a crash, as in a database. The next
process goes on from the saved cursor.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import httpx

from client_sdk.checkpoint import Checkpoint
from client_sdk.machine.sequencing import Change, Reset
from client_sdk.mqtt import BufferedOrderClient
from tests.simulation.core import STORE, TABLES
from tests.simulation.mqtt.broker import ModelConnection

if TYPE_CHECKING:
    from tests.simulation.mqtt.world import MqttWorld

CHANNELS: Final = (f"store:{STORE}", f"table:{STORE}/{TABLES[0]}")


class Saved:
    """What survives a process: its cursor, and its effects."""

    def __init__(self) -> None:
        self.checkpoint: Checkpoint | None = None
        self.effects: dict[str, int] = {}
        self.orders: dict[str, dict[str, int]] = {}
        """The version of each open order, by channel."""

    async def load(self) -> Checkpoint | None:
        """See `CursorStore`."""
        return self.checkpoint

    async def save(self, checkpoint: Checkpoint) -> None:
        """See `CursorStore`; the process may be killed before or after this."""
        await asyncio.sleep(0)
        self.checkpoint = checkpoint


class Program:
    """One process.

    Args:
        world: its schedule.
        saved: what the process before it has saved.
    """

    def __init__(self, world: MqttWorld, saved: Saved) -> None:
        self._world = world
        self._saved = saved
        known = saved.checkpoint.positions if saved.checkpoint else {}
        self._given: dict[str, int] = dict(known)
        """The last seq of each channel that this process has received, or started from."""
        self.slow_until = 0.0
        self.is_dead = False
        self.connection = ModelConnection(world.broker)
        self.client = BufferedOrderClient(
            "http://core",
            "token",
            CHANNELS,
            self.connection,
            cursors=saved,
            transport=httpx.MockTransport(world.answer),
            clock=world.loop.time,
            uniform=world.chance.uniform,
        )
        self._task = asyncio.create_task(self._run())

    async def end(self) -> None:
        """Kill the process: nothing that it still does has an effect."""
        self.is_dead = True
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self.connection.end()

    async def _run(self) -> None:
        try:
            async with self.client:
                async for change in self.client.events():
                    if self._world.parts.cursor_before_effect:
                        self._saved.checkpoint = self._cursor_after(change)
                        await self._rest()
                        self._effect(change)
                    else:
                        self._effect(change)
                        await self._rest()
        except Exception as error:
            self._world.found(f"the client ended: {error!r}")

    async def _rest(self) -> None:
        loop = self._world.loop
        await asyncio.sleep(max(0.0, self.slow_until - loop.time()))

    def _cursor_after(self, change: Change) -> Checkpoint:
        seq = change.head if isinstance(change, Reset) else change.seq
        before = self._saved.checkpoint
        positions = dict(before.positions) if before else {}
        return Checkpoint(self._world.core.epoch, positions | {change.channel: seq})

    def _effect(self, change: Change) -> None:
        if self.is_dead:
            return
        channel, saved = change.channel, self._saved
        if isinstance(change, Reset):
            if change.reason not in self._world.reasons:
                self._world.found(f"a reset for {change.reason} that nothing has caused")
            self._given[channel] = saved.effects[channel] = change.head
            saved.orders[channel] = {order.id: order.version for order in change.orders}
            return
        before = self._given.get(channel)
        if before is None or change.seq != before + 1:
            self._world.found(f"the consumer got {change.id} on top of {before}")
        # An earlier process may have handled this event before it was killed: that is allowed.
        if change.seq > saved.effects.get(channel, 0) + 1:
            self._world.found(f"{change.id} on top of {saved.effects.get(channel)}: a lost effect")
        self._given[channel] = saved.effects[channel] = change.seq
        orders = saved.orders.setdefault(channel, {})
        orders.pop(change.data.id, None)
        if change.data.is_open:
            orders[change.data.id] = change.data.version
