"""`yabam core`: Core itself."""

from __future__ import annotations

from argparse import Namespace

import uvloop

from core_api.logs import without_rows
from core_api.main import run_core
from core_api.settings import CoreSettings
from server_common.logs import configure
from server_common.settings_loader import load
from server_common.sockets import bind


def core(_options: Namespace) -> None:
    """Serve orders and Fetch Sync until told to stop."""
    settings = load(CoreSettings)
    configure("core", without_rows)
    listener = bind(settings.core_host, settings.core_port, "YABAM_CORE_PORT")
    uvloop.run(run_core(settings, listener))
