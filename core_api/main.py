"""Wires Core itself: the only module that knows all its parts."""

from __future__ import annotations

import random
import secrets
import socket
import time
from collections.abc import Callable, Sequence

from client_sdk.contract.channel import Channel
from client_sdk.contract.errors import DeviceError
from core_api.access.provider.wiring import provider_of
from core_api.access.sign_in import SignIn
from core_api.api.app import core_app
from core_api.api.gate import ApiLimits, Gate
from core_api.api.handlers.cloudprnt_handlers import CloudPrnt, Verify
from core_api.api.handlers.device_handlers import DevicesApi
from core_api.api.handlers.ops_handlers import OpsApi
from core_api.api.handlers.order_handlers import CoreApi
from core_api.api.handlers.print_handlers import PrintApi
from core_api.api.handlers.push_handlers import PushApi
from core_api.api.handlers.revocation_handlers import RevocationsApi
from core_api.api.handlers.state_handlers import StateApi
from core_api.api.handlers.token_handlers import TokensApi
from core_api.api.handlers.webhook_handlers import WebhooksApi
from core_api.api.routes import Handlers
from core_api.dashboard.sampler import Sampler
from core_api.dashboard.stream import OpsStream
from core_api.dashboard.wiring import OpsWatch, keep_counting
from core_api.devices.commands.expiring_loop import Expiring
from core_api.devices.commands.lifecycle import CommandLifecycle
from core_api.devices.metrics import CommandMetrics
from core_api.devices.registrations import Registrations
from core_api.edits.metrics import EditMetrics
from core_api.edits.service import EditService
from core_api.errors import UnavailableError
from core_api.heap_trim import keep_giving_back
from core_api.http.open_connections import OpenConnections
from core_api.http.server import CoreHttpServer, connections_for
from core_api.metrics import CoreMetrics
from core_api.orders.history import OrderHistory
from core_api.orders.service import OrderService
from core_api.overload import STRANGERS_BURST, STRANGERS_PER_S, Bound, PollingPace, RateLimit
from core_api.pages.files import own_files
from core_api.pages.serving import Pages
from core_api.pairing.codes import Pairings
from core_api.parties.reading import Parties
from core_api.postgres.commit_hints import Hints
from core_api.postgres.pool import Pool, check_database
from core_api.printing.making import JobMaker
from core_api.printing.metrics import PrintMetrics
from core_api.printing.presence import PrinterPresence
from core_api.printing.service import PrintService
from core_api.printing.star.jobs import StarJobs
from core_api.printing.star_printers import StarPrinters
from core_api.push.guests import GuestPhones
from core_api.push.messages import push_keys
from core_api.push.registrations import PushSubscriptions
from core_api.receipts.devices import DeviceLog
from core_api.receipts.reached import Reached
from core_api.receipts.statements import (
    list_devices,
    store_sightings,
)
from core_api.retention.upkeep import announce
from core_api.revocations.watching import Revoked
from core_api.settings import (
    CoreSettings,
)
from core_api.store_rules.sold_out_or_closed import is_obeyed
from core_api.sync.large_answers import LargeAnswers
from core_api.sync.long_poll import LongPolls
from core_api.sync.missing_digests import DigestFiller
from core_api.sync.reading import read_moved
from core_api.sync.replica import StandbyReplica
from core_api.sync.service import FetchSync
from core_api.sync.stream_grants import StreamGrants
from core_api.system_edits.document_access import DocumentAccess
from core_api.system_edits.ending import Ending
from core_api.trimming import trimming
from core_api.webhooks.addresses import Networks
from core_api.webhooks.registrations import Subscriptions
from core_api.webhooks.signing import webhook_keys
from core_api.wiring import (
    MAX_DEVICES,
    definitions_of,
    new_order_id,
    node_tokens,
    open_pools,
    replica_of,
    token_keys,
    utc_now,
)
from server_common.access.tickets import TicketKeys
from server_common.devices.identity import parse_user
from server_common.limits import SUBJECT_BODY_BURST_BYTES, SUBJECT_BODY_BYTES_PER_S
from server_common.logs import get_logger
from server_common.mqtt.broker import parse_address
from server_common.supervision import Supervisor
from server_common.tls.metrics import watched

log = get_logger()


async def run_core(settings: CoreSettings, listener: socket.socket) -> None:
    """`yabam core`: serve until SIGTERM or SIGINT, then drain and return."""
    pool, writing, lock_turns = await open_pools(
        settings, settings.pool_size, settings.statement_timeout_s, "yabam-core"
    )
    replica = await replica_of(settings)
    long_polls = LongPolls(
        lambda known: read_moved(pool, known), settings.tail_interval_s, settings.max_waiting
    )
    hints = Hints(pool, settings.session_url, long_polls.hint)
    syncs = Bound(settings.max_syncs, "syncs", random.uniform, time.monotonic)
    commands = Bound(settings.max_commands, "commands", random.uniform, time.monotonic)
    metrics = CoreMetrics(lambda: long_polls.waiting, {"sync": syncs, "command": commands})
    devices = DeviceLog(
        lambda batch: store_sightings(pool, batch),
        lambda store_id: list_devices(pool, store_id, MAX_DEVICES),
        metrics.dropped_reports.inc,
    )
    supervisor = Supervisor(metrics.task_restarted)
    digests = DigestFiller(pool)
    tokens = token_keys(settings.token_keys, settings.token_kid)
    revoked = Revoked(pool, time.time, time.monotonic)
    metrics.revocations_age.set_function(lambda: revoked.age_s)
    provider = provider_of(settings, metrics.provider_read)
    sign_in = SignIn(tokens, provider and provider[0], revoked.check)
    watch = OpsWatch(
        pool,
        settings.ops_cores,
        settings.ops_nodes,
        tokens,
        node_tokens(settings, tokens),
        metrics.registry,
        settings.ops_ca_file,
    )
    sampler = watch.sampler(settings.ops_grafana_url, settings.ops_viewers, random.uniform)
    day = watch.day_keeper(secrets.token_hex(8))
    announced = _announcer(long_polls, hints)
    edit_metrics = EditMetrics(metrics.registry)
    edits = EditService(
        writing,
        definitions_of(settings.definitions),
        settings.partitions,
        announced,
        is_obeyed,
        lock_turns,
        edit_metrics,
    )
    print_metrics = PrintMetrics(metrics.registry)
    documents = DocumentAccess(writing, edits.rules, announced)
    maker = JobMaker(documents, print_metrics, settings.print_names)
    prints = PrintService(documents, print_metrics)
    presence = PrinterPresence(documents)

    def ordered(channels: Sequence[str]) -> None:
        announced(channels)
        maker.wake(channels)

    orders = OrderService(
        pool,
        settings.partitions,
        utc_now,
        new_order_id,
        ordered,
        writing,
        lock_turns,
        settings.open_limits,
    )
    metrics.locked_writes.set_function(lambda: orders.waiting_for_lock + edits.waiting_for_lock)
    ending = Ending(documents, edit_metrics.ended.inc, edit_metrics.not_ended.inc)
    gate = Gate(
        sign_in,
        ApiLimits(
            commands,
            RateLimit(settings.rate_per_s, settings.rate_burst, time.monotonic),
            RateLimit(
                SUBJECT_BODY_BYTES_PER_S,
                SUBJECT_BODY_BURST_BYTES,
                time.monotonic,
                "bytes",
            ),
            settings.deadline_s,
            RateLimit(STRANGERS_PER_S, STRANGERS_BURST, time.monotonic),
        ),
        Parties(pool).check,
    )
    registrations = Registrations(documents, settings.device_keys)
    device_commands = CommandLifecycle(documents, lambda: str(new_order_id()))
    networks = Networks(settings.webhooks_networks)
    subscriptions = Subscriptions(
        writing,
        webhook_keys(settings.webhooks_keys, settings.webhooks_kid),
        networks,
        lambda: new_order_id().hex,
        hints.committed,
    )
    pushes = PushSubscriptions(
        writing, push_keys(settings.push_key, settings.push_contact), networks
    )
    expiring = Expiring(documents, CommandMetrics(metrics.registry))
    pages = Pages(own_files(), settings.stream_urls)
    api = CoreApi(
        orders,
        FetchSync(
            pool,
            long_polls,
            StreamGrants(
                TicketKeys(
                    {kid: key.encode() for kid, key in settings.ticket_keys.items()},
                    settings.ticket_kid,
                ),
                settings.stream_url_for(),
                settings.ticket_ttl_s,
            ),
            PollingPace(settings.poll_after_ms, time.monotonic),
            syncs,
            settings.deadline_s,
            metrics.reset_given,
            digests.unknown,
            LargeAnswers(time.monotonic),
            metrics.unreadable_met,
            StandbyReplica(replica, time.monotonic, metrics.replica_asked) if replica else None,
        ),
        devices,
        Reached(pool, MAX_DEVICES),
        gate,
        metrics,
        lambda: _check_ready(pool, long_polls, supervisor, revoked),
        OpsApi(OpsStream(sampler, sign_in.verify, random.uniform).stream, sampler, pool, gate),
    )
    app = core_app(
        Handlers(
            api,
            StateApi(edits, OrderHistory(pool), pool, gate),
            DevicesApi(registrations, device_commands, devices, pool, tokens, gate),
            PrintApi(prints, presence, gate),
            TokensApi(
                tokens,
                Pairings(writing, secrets.randbelow),
                gate,
                settings.sign_in_max_s,
                time.time,
            ),
            RevocationsApi(pool, revoked, gate, time.time),
            WebhooksApi(subscriptions, gate),
            PushApi(pushes, GuestPhones(writing, networks), gate),
        ),
        settings.cors_origins,
        [
            *CloudPrnt(
                StarJobs(prints, presence),
                gate,
                _printer_of(registrations),
                StarPrinters(writing),
                None if settings.star_broker is None else parse_address(settings.star_broker),
                settings.star_mode,
            ).routes(),
            *pages.routes(),
        ],
    )
    certificate = watched(settings.certificate, metrics.registry)
    connections = OpenConnections(connections_for(settings.max_waiting))
    metrics.watch_connections(lambda: len(connections), lambda: connections.given_way)
    server = CoreHttpServer(
        app,
        settings.drain_s,
        lambda: _stop(long_polls, sampler),
        settings.request_timeout_s,
        certificate,
        app.quick,
        connections,
    )
    # Without this task waiting syncs get no events. All other tasks may fail and catch up later: a
    # Core that stopped for them would send its clients to others with the same failure.
    supervisor.start("tail", long_polls.run)
    if provider is not None:
        supervisor.start("provider-keys", provider[1], essential=False)
    for name, work in {
        **({"certificate": certificate.keep} if certificate else {}),
        "announce": lambda: announce(pool),
        "devices": devices.run,
        "content-digests": digests.run,
        "count-devices": lambda: keep_counting(pool, metrics),
        "end-documents": ending.run,
        "expire-commands": expiring.run,
        "hints-out": hints.send,
        "hints-in": hints.listen,
        "memory": keep_giving_back,
        "ops-day": day.run,
        "print-jobs": maker.run,
        "printers-silent": presence.run,
        "revocations": revoked.run,
        **trimming(pool, settings, edits.definitions, edit_metrics, metrics),
    }.items():
        supervisor.start(name, work, essential=False)
    for name in supervisor.names:
        metrics.task_runs(name)
    host, port = listener.getsockname()[:2]
    log.info("core_listening", host=host, port=port)
    try:
        await server.serve(sockets=[listener])
    finally:
        await supervisor.stop()
        for one in filter(None, (pool, writing, replica)):
            one.terminate()
        log.info("core_stopped")


def _printer_of(registrations: Registrations) -> Verify:
    async def verify(user: str, password: str) -> tuple[Channel, list[str]] | None:
        try:
            identity = parse_user(user)
        except DeviceError:
            return None
        if not await registrations.is_current(identity, password):
            return None
        found = await registrations.get(identity.store, identity.device)
        return identity.channel, found.media

    return verify


def _announcer(long_polls: LongPolls, hints: Hints) -> Callable[[Sequence[str]], None]:
    def committed(channels: Sequence[str]) -> None:
        long_polls.wake(channels)
        hints.committed()

    return committed


def _stop(long_polls: LongPolls, sampler: Sampler) -> None:
    long_polls.stop()
    sampler.stop()


async def _check_ready(
    pool: Pool, long_polls: LongPolls, supervisor: Supervisor, revoked: Revoked
) -> None:
    if long_polls.stopping:
        raise UnavailableError("this process is stopping", "this process is stopping")
    if supervisor.trouble is not None:
        raise UnavailableError(supervisor.trouble, "a background task of this process fails")
    await check_database(pool)
    if not revoked.is_read:
        raise UnavailableError("the revoked tokens are not read", "this process has just started")
