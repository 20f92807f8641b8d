"""Wires the event server: the only module that knows all the parts."""

from __future__ import annotations

import asyncio
import gc
import random
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from secrets import token_hex
from types import MappingProxyType
from typing import Final

from event_server.http.access import OpsTokens
from event_server.http.routes import EventApi
from event_server.http.server import EventHttpServer, give_up_on_dead_peers
from event_server.kafka.consumer import KafkaSource, Where
from event_server.kafka.revocations import RevocationReader
from event_server.kafka.side_topics import SideTopics
from event_server.metrics import CERTIFICATE, REVOCATIONS, SOURCE, TIMER, EventMetrics
from event_server.push.protocol import Edge
from event_server.replay.audience import Subscriber
from event_server.replay.database_clock import DatabaseClock
from event_server.replay.frames import Frames, as_chunk, as_text
from event_server.replay.hub import Hub
from event_server.replay.ring import Rings
from event_server.settings import EventSettings
from event_server.sockets.handshake import Origins
from event_server.sockets.talk import Talk
from event_server.streams.health import Health
from event_server.streams.latency import PushLatency
from event_server.streams.lifetimes import Timing
from event_server.streams.registry import TICK_S, StreamLimits, Streams
from event_server.streams.request_rules import Placement
from event_server.supervisor import when_orphaned
from server_common.access.tickets import TicketKeys
from server_common.errors import SettingsError
from server_common.http.read_timeout import ReadTimeout
from server_common.kafka.connection import chain_of
from server_common.logs import get_logger
from server_common.short_tasks import short_task
from server_common.sockets import allow_open_files
from server_common.supervision import Supervisor, Work
from server_common.tls.certificate import ServerCertificate

log = get_logger()

HTTP: Final = "http"
"""The name of the task that serves the port. It is not started again: the process ends with its
error, and whoever started the process starts it anew."""
_DEAD_PEER_S = 30.0


@dataclass(frozen=True, slots=True)
class EventServer:
    """All parts of one process except its source."""

    settings: EventSettings
    frames: Frames
    streams: Streams
    metrics: EventMetrics
    talk: Talk
    http: EventHttpServer
    certificate: ServerCertificate | None
    """The certificate of its port; None: no TLS."""


def build(settings: EventSettings, keys: TicketKeys, tokens: OpsTokens) -> EventServer:
    """Build the parts from the settings.

    Args:
        settings: those of this process.
        keys: verify the tickets of streams.
        tokens: verify the access tokens of role ops, for metrics and the busiest channels.

    Raises:
        OSError, ssl.SSLError, ValueError: the files of the certificate cannot be used.
    """
    on_edge = settings.events_push_path == "edge"
    frames = Frames(as_chunk if on_edge else as_text)
    rings = Rings(settings.events_ring_events, settings.events_ring_bytes)
    broken = BrokenSubscribers()
    hub = Hub(rings, frames, DatabaseClock(), settings.owned_partitions, broken)
    streams = Streams(
        settings.server_name,
        hub,
        frames,
        Health(hub, settings.events_degraded_after_s),
        keys,
        Placement(settings.partitions, settings.owned_partitions, settings.fleet),
        Timing(
            (settings.events_lifetime_min_s, settings.events_lifetime_max_s),
            (settings.events_retry_min_ms, settings.events_retry_max_ms),
            random.uniform,
        ),
        StreamLimits(
            settings.events_max_streams,
            settings.events_heartbeat_s,
            settings.events_abort_after_s,
            settings.events_window_s,
        ),
        time.monotonic(),
    )
    broken.give_up = streams.give_up
    talk = Talk(hub, frames, f"{settings.server_name}/{token_hex(8)}")
    metrics = EventMetrics(streams, talk, PushLatency(hub.clock, time.time), time.monotonic)
    origins = Origins(settings.cors_origins)
    api = EventApi(
        streams, tokens, metrics, talk, origins, settings.events_buffer_bytes, time.monotonic
    )
    edge = Edge(
        streams,
        metrics,
        talk,
        settings.cors_origins,
        settings.events_buffer_bytes,
        time.monotonic,
        ReadTimeout(settings.events_request_timeout_s),
    )
    certificate = metrics.watch_certificates(settings.certificate, chain_of(settings.cluster))
    http = EventHttpServer(
        api.app(settings.cors_origins),
        lambda: _drain(streams, settings.events_drain_s),
        lambda: len(streams) == 0,
        settings.events_drain_s + settings.events_abort_after_s,
        edge.protocol if on_edge else None,
        certificate,
    )
    return EventServer(settings, frames, streams, metrics, talk, http, certificate)


async def run_events(
    settings: EventSettings,
    keys: TicketKeys,
    tokens: OpsTokens,
    listeners: Sequence[socket.socket],
    worker: int | None = None,
) -> None:
    """`yabam events`: serve until SIGTERM or SIGINT, then drain and return.

    Args:
        settings: this process's.
        keys: verify tickets.
        tokens: verify access tokens.
        listeners: bound sockets.
        worker: its number, if a parent runs several.

    Raises:
        SettingsError: the topic does not fit the settings.
    """
    server = build(settings, keys, tokens)
    if worker is not None:
        when_orphaned(server.http.stop)
    for listener in listeners:
        give_up_on_dead_peers(listener, _DEAD_PEER_S)
        host, port = listener.getsockname()[:2]
        log.info("events_listening", host=host, port=port)
    _warn_of_file_limit(settings.events_max_streams)
    collect_rarely()
    source = kafka_source(server)
    server.streams.health.trouble = lambda: source.trouble
    await serve(server, listeners, source.run, other_tasks(server))
    log.info("events_stopped")


async def serve(
    server: EventServer,
    listeners: Sequence[socket.socket],
    source: Work,
    others: Mapping[str, Work] = MappingProxyType({}),
) -> None:
    """Serve until the server has drained.

    Args:
        server: the parts.
        listeners: bound sockets.
        source: reads the log.
        others: tasks that streams do not depend on.

    Raises:
        SettingsError: the source cannot work with these settings, and never has.
    """
    loop = asyncio.get_running_loop()
    wrong_settings: asyncio.Future[None] = loop.create_future()

    async def read() -> None:
        try:
            await source()
        except SettingsError as error:
            if not wrong_settings.done():
                wrong_settings.set_exception(error)
            await asyncio.Event().wait()  # a restart would not help

    supervisor = Supervisor(server.metrics.task_restarted)
    health = server.streams.health
    of_source = health.trouble
    health.trouble = lambda: of_source() or supervisor.trouble
    supervisor.start(SOURCE, read)
    supervisor.start(TIMER, lambda: _keep_turning(server.streams))
    for name, work in others.items():
        supervisor.start(name, work, essential=False)
    serving = short_task(server.http.serve(sockets=list(listeners)), name=HTTP)
    try:
        done, _ = await asyncio.wait({serving, wrong_settings}, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        if not serving.done():
            server.http.should_exit = server.http.force_exit = True
        wrong_settings.cancel()
        await supervisor.stop()
        await asyncio.gather(serving, return_exceptions=True)


class BrokenSubscribers:
    """Ends the streams that cannot be written to, and logs it once per reason."""

    def __init__(self) -> None:
        self.give_up: Callable[[Subscriber], None] = lambda _subscriber: None
        self._told: set[str] = set()

    def __call__(self, subscriber: Subscriber, error: Exception) -> None:
        """The hub has cut this subscriber off."""
        self.give_up(subscriber)
        if (kind := type(error).__name__) not in self._told:
            self._told.add(kind)
            log.error("stream_cannot_be_written", told="once per kind", kind=kind, exc_info=error)


def kafka_source(server: EventServer) -> KafkaSource:
    """The server's source: Kafka."""
    settings, streams = server.settings, server.streams

    def lost(missing: bool) -> None:
        if not missing:
            streams.end_all("degraded", time.monotonic())
        streams.hub.forget("gap")

    def skipped(kind: str) -> None:
        server.metrics.skipped[kind] += 1

    where = Where(
        settings.cluster,
        settings.events_topic,
        settings.partitions,
        settings.owned_partitions,
        settings.events_window_s,
        settings.events_fetch_wait_ms,
    )
    source = KafkaSource(
        where, streams.hub, lost, skipped, time.monotonic, time.time, server.metrics.latency
    )
    server.metrics.count_sessions(lambda: source.sessions)
    return source


def other_tasks(server: EventServer) -> Mapping[str, Work]:
    """The tasks of the sockets' Kafka topics, of revocations, and of the certificate's renewal."""
    settings = server.settings
    topics = SideTopics(
        settings.cluster, settings.messages_topic, settings.receipts_topic, server.talk
    )
    revocations = RevocationReader(
        settings.cluster, settings.revocations_topic, server.streams.signed_out
    )
    works = {**topics.works, REVOCATIONS: revocations.run}
    if server.certificate is not None:
        works[CERTIFICATE] = server.certificate.keep
    return works


def _drain(streams: Streams, over_s: float) -> None:
    log.info("draining", streams=len(streams), over_s=over_s)
    streams.drain(over_s, time.monotonic())


async def _keep_turning(streams: Streams) -> None:
    before = None
    while True:
        now = time.monotonic()
        state = streams.health.state(now)
        if state != before:
            lag = streams.hub.lag(now)
            log.info("health_changed", state=state, before=before, lag_s=lag, streams=len(streams))
            before = state
        streams.turn(now)
        await asyncio.sleep(TICK_S)


def collect_rarely() -> None:
    """Make garbage collection rare: the rings are many small objects without cycles, and collecting
    them took a quarter of the time of a busy topic."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def _warn_of_file_limit(max_streams: int) -> None:
    limit = allow_open_files()
    if limit < max_streams + 64:
        log.warning(
            "open_files_limit_is_low",
            limit=limit,
            max_streams=max_streams,
            what_to_do="raise it (ulimit -n), or lower YABAM_EVENTS_MAX_STREAMS",
        )


def ticket_keys(settings: EventSettings) -> TicketKeys:
    """The ring of ticket keys.

    Raises:
        TicketError: a key is too short, or the signing one is missing.
    """
    return TicketKeys(
        {kid: key.encode() for kid, key in settings.ticket_keys.items()}, settings.ticket_kid
    )
