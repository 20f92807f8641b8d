"""Faults between Core and devices: broker, gateways and agents are killed, frozen, cut off."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

from deploy.mqtt.server import MosquittoServer
from event_server.mqtt_gateway.rules.publications import orders_topic
from tests.chaos.kitchen.door import Door
from tests.chaos.kitchen.kitchen import Kitchen
from tests.chaos.kitchen.names import STORE
from tests.chaos.kitchen.rogue import Rogue
from tests.chaos.runner import Field, Inject, NotInjectedError, Scenario
from tests.chaos.site import aside
from tests.mqtt_parts import Device, device, until_it_connects_with
from tests.wiping import wipe_mosquitto

_MAX_LATE: Final = 10
"""How many messages a frozen gateway may still have in its connection."""
_WATCHED_S: Final = 5.0
"""How long whoever wakes up from a fault is watched: that it does nothing wrong is no event."""
_TAKEN_OVER_WITHIN_S: Final = 100.0
_TICKET_BEGINS: Final = b"\x1b@"
"""`ESC @`: a ticket begins; before that the agent only asks for the printer's status."""
_DEAD_LETTERS: Final = "yabam_mqtt_dead_letters_total"
_FLOODED: Final = "yabam_mqtt_flooded_total"


def _kitchen(ground: Field) -> Kitchen:
    assert ground.kitchen is not None
    return ground.kitchen


def _door(ground: Field) -> Door:
    return _kitchen(ground).door


def _server(ground: Field) -> MosquittoServer:
    return _door(ground).server


async def _kill_broker(ground: Field) -> str:
    for _ in range(2):
        await aside(_server(ground).kill)
        await ground.last(ground.chance.uniform(2, 6))
        await aside(_server(ground).start)
        await ground.until(_kitchen(ground).is_level, "the program over MQTT has everything")
        await ground.last(ground.chance.uniform(4, 8))
    return "killed twice"


async def _freeze_broker(ground: Field) -> str:
    _server(ground).process.suspend()
    await ground.last(20)
    polled_s = await ground.until(
        _kitchen(ground).is_level, "the program over MQTT has everything while the broker is frozen"
    )
    _server(ground).process.resume()
    return f"its program had everything {polled_s:.1f} s after 20 s, before the broker woke"


async def _cut_broker(ground: Field) -> str:
    wires = _door(ground).wires
    cut = 0
    for _ in range(5):
        cut += sum(wire.cut() for wire in wires)
        await ground.last(ground.chance.uniform(0.5, 3))
    for wire in wires:
        wire.stall()
    await ground.last(15)
    for wire in wires:
        wire.clear()
        cut += wire.cut()
    return f"{cut} connections reset, and nothing passed for a while"


async def _wipe_broker(ground: Field) -> str:
    server = _server(ground)
    await aside(server.kill)
    wipe_mosquitto(server)
    await ground.last(2)
    await aside(server.start)
    await _until_devices_are_back(ground)
    return "killed, all its users, rights and messages gone, made anew by the admin"


async def _kill_gateways(ground: Field) -> str:
    gateways = list(_door(ground).gateways)
    ground.chance.shuffle(gateways)
    for gateway in gateways:
        await aside(gateway.kill)
        await ground.last(ground.chance.uniform(2, 6))
        gateway.start()
        await ground.site.ready(gateway)
        await ground.last(ground.chance.uniform(1, 4))
    return f"{', '.join(one.name for one in gateways)} killed and started again"


async def _freeze_gateways(ground: Field) -> str:
    """Freeze one gateway after the other.

    Another one must take over, and the frozen one may send only few old messages when it wakes up.
    """
    seen = []
    terminal = await _kitchen(ground).register("terminal-2")
    await until_it_connects_with(terminal)
    async with device(terminal, orders_topic(STORE)) as one:
        for gateway in _door(ground).gateways:
            gateway.suspend()
            await ground.last(12)
            took_s = await _until_it_hears_more(ground, one)
            before = _seqs(one)
            gateway.resume()
            await ground.site.ready(gateway)
            await _until_it_hears_more(ground, one)
            await asyncio.sleep(_WATCHED_S)
            late = sum(seq <= max(before) for seq in _seqs(one)[len(before) :])
            if late > _MAX_LATE:
                raise NotInjectedError(f"it holds back: {gateway.name} published {late} old events")
            seen.append(
                f"{gateway.name} frozen, others published {took_s:.0f} s later, {late} twice"
            )
    return "; ".join(seen)


async def _until_it_hears_more(ground: Field, one: Device) -> float:
    """Wait until a new event of an order is published. Returns how long that took."""
    newest = max(_seqs(one), default=0)

    async def hears() -> bool:
        return max(_seqs(one), default=0) > newest

    return await ground.until(hears, "orders are published", 40)


async def _cut_gateways(ground: Field) -> str:
    wires = _door(ground).gateway_wires
    cut = 0
    for _ in range(3):
        for wire in wires:
            cut += wire.cut()
            await ground.last(ground.chance.uniform(0.5, 2))
    one = ground.chance.choice(wires)
    one.stall()
    await ground.last(15)
    one.clear()
    cut += one.cut()
    for wire in wires:
        await wire.refuse()
    await ground.last(5)
    for wire in wires:
        await wire.start()
    await ground.site.ready(*_door(ground).gateways)
    return f"{cut} connections reset, one way stalled, both refused for a while"


async def _kill_agent(ground: Field) -> str:
    kitchen = _kitchen(ground)
    agent, printer = kitchen.agents[0], kitchen.printer
    victims = [agent, agent, printer, agent]
    ground.chance.shuffle(victims)
    for victim in victims:
        await _next_ticket(ground)
        # At a random time while the next ticket is printed.
        await asyncio.sleep(ground.chance.uniform(0, 1.2))
        await aside(victim.kill)
        await ground.last(1)
        victim.start()
    return f"{', '.join(one.name for one in victims)} killed while tickets came out"


async def _freeze_agent(ground: Field) -> str:
    """Freeze an agent until another one has taken over the printer; then wake the first one."""
    first, second = _kitchen(ground).agents
    await _next_ticket(ground)
    await asyncio.sleep(ground.chance.uniform(0, 1.2))
    first.suspend()
    second.start()
    printed = len(_kitchen(ground).papers)

    async def prints() -> bool:
        return len(_kitchen(ground).papers) > printed + 1

    took = await ground.until(prints, "another agent takes the printer over", _TAKEN_OVER_WITHIN_S)
    first.resume()
    await asyncio.sleep(_WATCHED_S)
    return f"another agent printed {took:.0f} s after the first was frozen; then that one woke"


async def _cut_agent(ground: Field) -> str:
    kitchen = _kitchen(ground)
    cut = 0
    for _ in range(4):
        await _next_ticket(ground)
        await asyncio.sleep(ground.chance.uniform(0, 1.2))
        cut += ground.chance.choice(kitchen.wires).cut()
    await _cut_with_a_ticket(ground)
    kitchen.core_wire.stall()
    await ground.last(8)
    cut += kitchen.core_wire.cut()
    kitchen.core_wire.clear()
    kitchen.printer_wire.stall()
    await ground.last(5)
    # Bytes that were on their way are lost.
    cut += kitchen.printer_wire.cut()
    kitchen.printer_wire.clear()
    return (
        f"{cut} connections to Core or the printer reset, one more with a ticket in it, "
        "and both ways stalled"
    )


async def _cut_with_a_ticket(ground: Field) -> None:
    """Reset the agent's connection to the printer while the next ticket is sent."""
    wire = _kitchen(ground).printer_wire
    met = asyncio.Event()

    async def swallow(data: bytes) -> bool:
        if not data.startswith(_TICKET_BEGINS):
            return True
        wire.trap = None
        met.set()
        return False

    async def is_met() -> bool:
        return met.is_set()

    wire.trap = swallow
    await ground.until(is_met, "a ticket is on its way to the printer", 90)


async def _bad_device(ground: Field) -> str:
    """Run a device that sends invalid messages, sends too many, and never reads."""
    before = await _counted(ground)
    known = await _kitchen(ground).register("terminal-bad")
    await until_it_connects_with(known)
    rogue = Rogue(known, _server(ground).port)
    with contextlib.suppress(OSError):
        await rogue.misbehave(max(3.0, 25 * ground.scale))
    letters, flooded = await _counted(ground)
    letters, flooded = letters - before[0], flooded - before[1]
    if not letters or not flooded:
        raise NotInjectedError(
            f"it is held down: {letters:.0f} dead letters, {flooded:.0f} left out"
        )
    return (
        f"{rogue.sent} messages sent and no answer read: {letters:.0f} dead letters, "
        f"{flooded:.0f} left out as a flood"
    )


async def _counted(ground: Field) -> tuple[float, float]:
    gateways = _door(ground).gateways
    return (
        sum([await ground.site.metric(one, _DEAD_LETTERS) for one in gateways]),
        sum([await ground.site.metric(one, _FLOODED) for one in gateways]),
    )


async def _next_ticket(ground: Field) -> None:
    """Wait until another ticket is printed."""
    printed = len(_kitchen(ground).papers)

    async def more() -> bool:
        return len(_kitchen(ground).papers) > printed

    await ground.until(more, "tickets come out", 90)


async def _until_devices_are_back(ground: Field) -> None:
    """Wait until Core has accepted all messages for which the bell waits now."""
    bell = _kitchen(ground).bell
    said = bell.said

    async def back() -> bool:
        return all(n > said for n in bell.waiting)

    await ground.until(back, "devices may connect and speak again")


def _seqs(one: Device) -> list[int]:
    """The seqs of the orders' events that a device has received, in that order."""
    return [event["seq"] for event in one.on(orders_topic(STORE))]


def _scenario(name: str, injected: str, inject: Inject) -> Scenario:
    return Scenario(name, injected, inject, needs_kafka=True, needs_devices=True)


SCENARIOS = [
    _scenario("kill-broker", "SIGKILL of the MQTT broker twice, started again", _kill_broker),
    _scenario(
        "freeze-broker",
        "SIGSTOP of the MQTT broker for 20 s, and until its program has everything",
        _freeze_broker,
    ),
    _scenario(
        "cut-broker",
        "five times every connection to the MQTT broker reset, then a stall of 15 s",
        _cut_broker,
    ),
    _scenario("wipe-broker", "the MQTT broker killed, its data deleted", _wipe_broker),
    _scenario("kill-gateway", "SIGKILL of each gateway in turn", _kill_gateways),
    _scenario(
        "freeze-gateway",
        "SIGSTOP of each gateway in turn until the other publishes in its place",
        _freeze_gateways,
    ),
    _scenario(
        "cut-gateway",
        "the gateways' connections to the broker reset, stalled, refused",
        _cut_gateways,
    ),
    _scenario(
        "kill-agent",
        "SIGKILL of the printer's agent and of the printer while it prints",
        _kill_agent,
    ),
    _scenario(
        "freeze-agent",
        "SIGSTOP of the printer's agent until another one prints in its place",
        _freeze_agent,
    ),
    _scenario(
        "cut-agent",
        "the agent's connections to Core and to the printer reset, also with a ticket on its way, "
        "then stalled",
        _cut_agent,
    ),
    _scenario("bad-device", "a device sends garbage, floods and never reads", _bad_device),
]
