"""Adds a sender of webhooks to a stack."""

from __future__ import annotations

import json
from typing import Final

from deploy.local.stack import Stack
from deploy.processes.process import Process

LOOPBACK: Final = {"YABAM_WEBHOOKS_NETWORKS": json.dumps(["127.0.0.0/8", "::1/128"])}
"""Allows webhooks to receivers on this machine. Core needs it, too, as it registers webhooks."""


def add_sender(stack: Stack, port: int, name: str = "webhooks") -> Process:
    """Add a sender of webhooks to a stack; it is not started.

    Args:
        stack: its settings must contain `LOOPBACK`.
        port: the port of its health and metrics.
        name: the name of the process; several senders of one stack need different names.
    """
    return stack.add_command(name, ["webhooks"], port, {"YABAM_WEBHOOKS_PORT": str(port)})
