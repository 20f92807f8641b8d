#!/opt/yabam/bin/python -I
"""Health check of this container's server: `yabam-probe healthz`, `yabam-probe readyz`.

The same image runs every command. So the probe reads the command of the container's first process
and asks at that server's port. A command without a server is healthy as long as it runs.
"""

from __future__ import annotations

import http.client
import os
import ssl
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

PORTS: Final = {
    "core": 8000,
    "events": 8001,
    "relay": 8002,
    "ingest": 8003,
    "mqtt": 8005,
    "mqtt-admin": 8006,
    "webhooks": 8007,
}
"""Each server's default port."""
_ANSWERS_WITHIN_S: Final = 3.0


def server_of(command: Sequence[str], environment: Mapping[str, str]) -> tuple[int, bool] | None:
    """The port of the server that `command` runs, and whether it uses TLS; None: it runs none."""
    kind = next((word for word in command if word in PORTS), None)
    if kind is None:
        return None
    port = environment.get(f"YABAM_{kind.upper().replace('-', '_')}_PORT") or PORTS[kind]
    certificate = "YABAM_EVENTS_TLS_CERT" if kind == "events" else "YABAM_TLS_CERT"
    return int(port), bool(environment.get(certificate))


def answers(port: int, secure: bool, path: str) -> bool:
    """Whether the server answers 200 within three seconds.

    Args:
        port: the server's, on the loopback address.
        secure: whether it speaks TLS; its certificate is not verified.
        path: `healthz` or `readyz`, without a slash.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_ANSWERS_WITHIN_S)
    if secure:
        # Its certificate is for the host name that clients use, not for the loopback address.
        trusting = ssl.create_default_context()
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection(
            "127.0.0.1", port, timeout=_ANSWERS_WITHIN_S, context=trusting
        )
    try:
        connection.request("GET", f"/{path}")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    first = Path("/proc/1/cmdline").read_text().split("\0")
    server = server_of(first, os.environ)
    sys.exit(0 if server is None or answers(*server, sys.argv[1]) else 1)
