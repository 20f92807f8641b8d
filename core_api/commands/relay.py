"""`yabam relay`: the relay."""

from __future__ import annotations

from argparse import Namespace

import uvloop

from core_api.logs import without_rows
from core_api.processes.relay import run_relay_process
from core_api.settings import RelaySettings
from server_common.logs import configure
from server_common.settings_loader import load
from server_common.sockets import bind


def relay(_options: Namespace) -> None:
    """Publish until told to stop."""
    settings = load(RelaySettings)
    configure("relay", without_rows)
    listener = bind(settings.relay_host, settings.relay_port, "YABAM_RELAY_PORT")
    uvloop.run(run_relay_process(settings, listener))
