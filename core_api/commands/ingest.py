"""`yabam ingest`: what takes commands from Kafka."""

from __future__ import annotations

from argparse import Namespace

import uvloop

from core_api.logs import without_rows
from core_api.processes.ingest import run_ingest_process
from core_api.settings import IngestSettings
from server_common.logs import configure
from server_common.settings_loader import load
from server_common.sockets import bind


def ingest(_options: Namespace) -> None:
    """Take commands from Kafka until told to stop."""
    settings = load(IngestSettings)
    configure("ingest", without_rows)
    listener = bind(settings.ingest_host, settings.ingest_port, "YABAM_INGEST_PORT")
    uvloop.run(run_ingest_process(settings, listener))
