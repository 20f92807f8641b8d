"""`yabam mqtt-admin`: the admin of the MQTT broker."""

from __future__ import annotations

from argparse import Namespace

import uvloop

from core_api.logs import without_rows
from core_api.processes.broker_admin import run_broker_admin_process
from core_api.settings import BrokerAdminSettings
from server_common.logs import configure
from server_common.settings_loader import load
from server_common.sockets import bind


def broker_admin(_options: Namespace) -> None:
    """Keep the broker's users and roles until told to stop."""
    settings = load(BrokerAdminSettings)
    configure("mqtt-admin", without_rows)
    listener = bind(settings.mqtt_admin_host, settings.mqtt_admin_port, "YABAM_MQTT_ADMIN_PORT")
    uvloop.run(run_broker_admin_process(settings, listener))
