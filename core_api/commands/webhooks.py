"""`yabam webhooks`: the sender of webhooks."""

from __future__ import annotations

from argparse import Namespace

import uvloop

from core_api.logs import without_rows
from core_api.processes.webhooks import run_webhooks_process
from core_api.settings import WebhooksSettings
from server_common.logs import configure
from server_common.settings_loader import load
from server_common.sockets import bind


def webhooks(_options: Namespace) -> None:
    """Send webhooks until told to stop."""
    settings = load(WebhooksSettings)
    configure("webhooks", without_rows)
    listener = bind(settings.webhooks_host, settings.webhooks_port, "YABAM_WEBHOOKS_PORT")
    uvloop.run(run_webhooks_process(settings, listener))
