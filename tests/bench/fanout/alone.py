"""An event server with a clock in place of Kafka: `python tests/bench/fanout/alone.py PORT`.

It is like `yabam events`, except that watermarks come from this process instead of Kafka: a connect
needs nothing else from the log. It runs as a file, with PYTHONPATH, so that the same script can
measure the server of another checkout.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from typing import Final

import uvloop

from event_server.http.access import OpsTokens
from event_server.main import build, collect_rarely, serve, ticket_keys
from event_server.settings import EventSettings
from server_common.logs import configure
from server_common.settings.loader import load
from server_common.sockets import allow_open_files, bind

EPOCH: Final = "01M7Y0RVFX7GQRHXE522T5TA8A"
_KEYS: Final = {"t1": "k" * 32}
_MOST: Final = 100_000
_MARK_EVERY_S: Final = 1.0


def _settings() -> EventSettings:
    said = {
        "YABAM_PARTITIONS": 1,
        "YABAM_EVENTS_MAX_STREAMS": _MOST,
        "YABAM_EVENTS_LIFETIME_MIN_S": 3600,
        "YABAM_EVENTS_LIFETIME_MAX_S": 3600,
        "YABAM_EVENTS_DEGRADED_AFTER_S": 60,
        "YABAM_EVENTS_DRAIN_S": 0,
        "YABAM_TICKET_KEYS": json.dumps(_KEYS),
        "YABAM_TICKET_KID": "t1",
        "YABAM_TOKEN_KEYS": json.dumps({"a1": "a" * 32}),
    }
    os.environ |= {name: str(value) for name, value in said.items()}
    return load(EventSettings)


async def _run(port: int) -> None:
    settings = _settings()
    server = build(settings, ticket_keys(settings), OpsTokens(settings.token_keys, time.time))
    hub = server.streams.hub

    async def mark() -> None:
        hub.admit(EPOCH)
        hub.rings.covered_since, hub.warm = 0.0, True
        while True:
            hub.mark(0, time.time(), time.monotonic())
            await asyncio.sleep(_MARK_EVERY_S)

    collect_rarely()
    await serve(server, [bind("127.0.0.1", port, "PORT")], mark)


if __name__ == "__main__":
    configure("events")
    allow_open_files()
    uvloop.run(_run(int(sys.argv[1])))
