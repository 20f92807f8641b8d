"""Starts Core itself, which `core_api/main.py` wires."""

from __future__ import annotations

from argparse import Namespace

from core_api.main import run_core
from core_api.processes.starting import Place, start
from core_api.settings import CoreSettings


def core(_options: Namespace) -> None:
    """Serve orders and Fetch Sync until told to stop."""
    start(
        "core",
        CoreSettings,
        lambda s: Place(s.core_host, s.core_port, "YABAM_CORE_PORT"),
        run_core,
    )
