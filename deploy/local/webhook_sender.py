"""The sender of webhooks beside a stack."""

from __future__ import annotations

import json
from typing import Final

from deploy.local.stack import Stack
from deploy.processes.process import Process

LOOPBACK: Final = {"YABAM_WEBHOOKS_NETWORKS": json.dumps(["127.0.0.0/8", "::1/128"])}
"""Lets webhooks go to receivers of this machine: for Core, too, which registers them."""


def add_sender(stack: Stack, port: int, name: str = "webhooks") -> Process:
    """Add a sender of webhooks to a stack; it is not started.

    Args:
        stack: its settings contain `LOOPBACK`.
        port: where its health and metrics are.
        name: the process's; several senders of one stack need different ones.
    """
    return stack.add_command(name, ["webhooks"], port, {"YABAM_WEBHOOKS_PORT": str(port)})
