"""Publishes from Core what the log does not bring again: the public documents of a store, when the
broker may have lost them; a device's waiting commands, when it comes; a value that is too large for
the log.

Each wish is worked off once, whoever asks for it how often; while Core does not answer, it waits.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from msgspec import UNSET

from client_sdk.contract.channel import Channel
from event_server.errors import CoreLostError
from event_server.mqtt_gateway.rules.presence import MAX_DEVICES
from event_server.mqtt_gateway.rules.publications import Changed, publication_of
from event_server.mqtt_gateway.together import run_together
from server_common.backoff import Backoff
from server_common.logs import get_logger
from server_common.mqtt.broker import MqttRefusedError

if TYPE_CHECKING:
    from event_server.mqtt_gateway.core import DocumentsSnapshot
    from event_server.mqtt_gateway.metrics import GatewayMetrics
    from event_server.mqtt_gateway.outlet import Outlet
    from event_server.mqtt_gateway.rules.presence import Presence

_log = get_logger()

_WORKERS: Final = 4
_PAUSE_S: Final = (0.2, 5.0)
_OWNERSHIP_POLL_S: Final = 0.1


class DocumentSource(Protocol):
    """Core, as far as it is asked here."""

    async def all_of(self, channel: str) -> DocumentsSnapshot:
        """All documents of a channel; raises `CoreLostError`."""

    async def whole(self, changed: Changed) -> Changed | None:
        """One document as it stands, None if it is gone; raises `CoreLostError`."""


class Refresher:
    """Works off wishes for one session.

    Args:
        core: where documents are read.
        outlet: where they are published.
        presence: is told which devices were served.
        owns: whether a store's partition is read here.
        metrics: where the numbers go.
    """

    def __init__(
        self,
        core: DocumentSource,
        outlet: Outlet,
        presence: Presence,
        owns: Callable[[str], bool],
        metrics: GatewayMetrics,
    ) -> None:
        self._core = core
        self._outlet = outlet
        self._presence = presence
        self._owns = owns
        self._metrics = metrics
        self._channels: asyncio.Queue[Channel] = asyncio.Queue()
        self._waiting: set[Channel] = set()
        self._left: set[str] = set()
        self._values: asyncio.Queue[tuple[Changed, Callable[[], None]]] = asyncio.Queue()
        self._is_told = False

    def want_state(self, store: str) -> None:
        """Publish a store's public documents."""
        self._want(Channel("public", store))

    def want_commands(self, store: str, device: str) -> None:
        """Publish the commands and print jobs that wait for a device."""
        self._want(Channel("device", store, device))

    def want_value(self, changed: Changed, done: Callable[[], None]) -> None:
        """Publish a document whose value the log does not carry; call `done` once the broker has
        it, or once there is nothing to be published."""
        self._values.put_nowait((changed, done))

    def left(self) -> list[str]:
        """The stores whose state was wanted and not published, because their partitions were not
        ours just then. Each is told once: who has the partition from now on is to want it."""
        stores = list(self._left)
        self._left.clear()
        return stores

    async def run(self) -> None:
        """Work until cancelled.

        Raises:
            MqttError: the connection to the broker is lost.
        """
        workers = [self._work_channels() for _ in range(_WORKERS)]
        await run_together(*workers, self._work_values())

    def _want(self, channel: Channel) -> None:
        if channel not in self._waiting:
            self._waiting.add(channel)
            self._channels.put_nowait(channel)

    async def _work_channels(self) -> None:
        while True:
            channel = await self._channels.get()
            self._waiting.discard(channel)
            await self._patiently(partial(self._publish_all, channel))

    async def _work_values(self) -> None:
        while True:
            changed, done = await self._values.get()
            await self._patiently(partial(self._publish_whole, changed))
            done()

    async def _publish_all(self, channel: Channel) -> None:
        device = channel.part
        due = None if device is None else self._presence.due(channel.root, device)
        if not await self._has_published(channel):
            # Another one that owns it has the same wish; a device stays unserved here.
            if device is None:
                self._leave(channel.root)
        elif device is not None:
            self._presence.serve(channel.root, device, due)

    async def _has_published(self, channel: Channel) -> bool:
        """Publish all documents of a channel; False: its partition was not ours at some moment."""
        if not self._owns(channel.root):
            return False
        found = await self._core.all_of(str(channel))
        for changed in found.documents:
            if not self._owns(channel.root):
                return False
            if changed.value is UNSET:
                await self._publish_whole(changed)
            else:
                await self._publish(changed)
        return self._owns(channel.root)

    def _leave(self, store: str) -> None:
        self._left.add(store)
        if len(self._left) > MAX_DEVICES:
            self._left.intersection_update(self._presence.known_stores())

    async def _publish_whole(self, changed: Changed) -> None:
        whole = await self._core.whole(changed)
        if whole is not None and whole.value is not UNSET:
            await self._publish(whole)

    async def _publish(self, changed: Changed) -> None:
        what = "state" if changed.channel.kind == "public" else "commands"
        while not self._outlet.is_open:  # noqa: ASYNC110  (nobody tells when it opens)
            await asyncio.sleep(_OWNERSHIP_POLL_S)
        if not self._owns(changed.channel.root):
            return
        publication = publication_of(changed, datetime.now(UTC))
        if publication is None or not self._outlet.newest.take(changed):
            return
        try:
            await self._outlet.send(what, publication)
        except MqttRefusedError as error:
            self._metrics.refused_by_broker.inc()
            _log.error("broker_refuses", topic=publication.topic, reason=str(error))

    async def _patiently(self, work: Callable[[], Awaitable[None]]) -> None:
        backoff = Backoff(*_PAUSE_S, random.uniform)
        while True:
            try:
                await work()
            except CoreLostError as error:
                if not self._is_told:
                    _log.warning("gateway_waits_for_core", reason=str(error))
                self._is_told = True
                self._metrics.retries.inc()
                await asyncio.sleep(backoff.failed())
            else:
                self._is_told = False
                return
