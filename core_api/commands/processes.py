"""`yabam core`, `relay`, `ingest` and `mqtt-admin`: Core's processes."""

from __future__ import annotations

from argparse import Namespace

import uvloop

from core_api.logs import without_rows
from core_api.main import run_core
from core_api.processes import run_broker_admin_process, run_ingest_process, run_relay_process
from core_api.settings import BrokerAdminSettings, CoreSettings, IngestSettings, RelaySettings
from server_common.logs import configure
from server_common.settings_loader import load
from server_common.sockets import bind


def core(_options: Namespace) -> None:
    """Serve orders and Fetch Sync until told to stop."""
    settings = load(CoreSettings)
    configure("core", without_rows)
    listener = bind(settings.core_host, settings.core_port, "YABAM_CORE_PORT")
    uvloop.run(run_core(settings, listener))


def relay(_options: Namespace) -> None:
    """Publish until told to stop."""
    settings = load(RelaySettings)
    configure("relay", without_rows)
    listener = bind(settings.relay_host, settings.relay_port, "YABAM_RELAY_PORT")
    uvloop.run(run_relay_process(settings, listener))


def ingest(_options: Namespace) -> None:
    """Take commands from Kafka until told to stop."""
    settings = load(IngestSettings)
    configure("ingest", without_rows)
    listener = bind(settings.ingest_host, settings.ingest_port, "YABAM_INGEST_PORT")
    uvloop.run(run_ingest_process(settings, listener))


def broker_admin(_options: Namespace) -> None:
    """Keep the broker's users and roles until told to stop."""
    settings = load(BrokerAdminSettings)
    configure("mqtt-admin", without_rows)
    listener = bind(settings.mqtt_admin_host, settings.mqtt_admin_port, "YABAM_MQTT_ADMIN_PORT")
    uvloop.run(run_broker_admin_process(settings, listener))
