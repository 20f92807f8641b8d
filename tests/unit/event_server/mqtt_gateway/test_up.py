"""A message that cannot be stored because of a bug stops no others: its session ends, and the
gateway says so."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from event_server.mqtt_gateway import up as up_module
from event_server.mqtt_gateway.metrics import GatewayMetrics
from event_server.mqtt_gateway.up import Up, UpSettings
from server_common.mqtt.broker import Broker
from server_common.mqtt.connection import Incoming
from server_common.supervision import Supervisor

GOOD = Incoming("yabam/1/devices/bell-1/status", b'{"state": "online"}', 1, 1)
BAD = Incoming("yabam/1/devices/bell-1/status", b"not JSON", 1, 1)


class Session:
    """A connection to a broker that delivers one message."""

    def __init__(self, received: Callable[[Incoming], None], message: Incoming) -> None:
        self._received = received
        self._message = message
        self.acknowledged: list[Incoming] = []
        self.is_closed = False

    async def open(self) -> None:
        pass

    async def subscribe(self, _filters: Sequence[str], _qos: int) -> None:
        self._received(self._message)

    async def until_lost(self) -> None:
        await asyncio.Event().wait()

    def acknowledge(self, message: Incoming) -> None:
        self.acknowledged.append(message)

    def publish(self, _topic: str, _payload: bytes) -> asyncio.Future[None]:
        return asyncio.get_running_loop().create_future()

    async def close(self) -> None:
        self.is_closed = True


class BrokenOnce:
    """A sink that has a bug with the first record."""

    def __init__(self, bug: BaseException) -> None:
        self._bug: BaseException | None = bug

    async def begin(self, _topic: str, _key: bytes, _value: bytes) -> Awaitable[None]:
        return self._store()

    async def _store(self) -> None:
        bug, self._bug = self._bug, None
        if bug is not None:
            raise bug


class World:
    """The way up under a supervisor, and its sessions."""

    def __init__(self, bug: BaseException, message: Incoming, patch: pytest.MonkeyPatch) -> None:
        self.sessions: list[Session] = []
        self.reasons: list[str | None] = []
        self._message = message
        patch.setattr(up_module, "BrokerConnection", self._open)
        settings = UpSettings(
            "up", Broker("127.0.0.1", 1, "", ""), "x", ["#"], 1, "in", "dead", 10.0, 10
        )
        metrics = GatewayMetrics(CollectorRegistry())
        self._up = Up(settings, BrokenOnce(bug), metrics, lambda: 0.0, lambda: 0)
        self._supervisor = Supervisor(sleep=self._sleep)

    async def run(self) -> None:
        """Run until a message is acknowledged."""
        self._supervisor.start("up", self._up.run)
        try:
            async with asyncio.timeout(5):
                while not any(one.acknowledged for one in self.sessions):  # noqa: ASYNC110
                    await asyncio.sleep(0)
        finally:
            await self._supervisor.stop()

    async def _sleep(self, _seconds: float) -> None:
        self.reasons.append(self._supervisor.trouble)

    def _open(self, _broker: Any, _id: str, received: Callable[[Incoming], None], **_: Any) -> Any:
        self.sessions.append(Session(received, self._message))
        return self.sessions[-1]


@pytest.mark.parametrize("message", [GOOD, BAD], ids=["stored", "dead letter"])
@pytest.mark.parametrize(
    "bug",
    [ZeroDivisionError("a bug"), asyncio.CancelledError("lost by a library")],
    ids=["raised", "cancelled from inside"],
)
async def test_a_message_whose_storing_fails_by_a_bug_ends_its_session_and_is_reported(
    bug: BaseException, message: Incoming, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(bug, message, monkeypatch)
    await world.run()
    first, second = world.sessions
    assert (first.acknowledged, second.acknowledged) == ([], [message])
    assert first.is_closed
    (reason,) = world.reasons
    assert reason is not None
    assert reason.startswith("the background task up fails: ")
