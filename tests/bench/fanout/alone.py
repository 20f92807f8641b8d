"""An event server whose log is a clock: `python tests/bench/fanout/alone.py PORT`.

All is as in `yabam events`, except that watermarks come from this process instead of Kafka: a
connect asks nothing more of the log. It is run as a file, with PYTHONPATH, so that the server of
another checkout can be measured by the same script.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Final

import uvloop

from event_server.http.access import OpsTokens
from event_server.main import build, collect_rarely, serve, ticket_keys
from event_server.settings import EventSettings
from server_common.logs import configure
from server_common.sockets import allow_open_files, bind

EPOCH: Final = "01M7Y0RVFX7GQRHXE522T5TA8A"
_KEYS: Final = {"t1": "k" * 32}
_MOST: Final = 100_000
_MARK_EVERY_S: Final = 1.0


def _settings() -> EventSettings:
    return EventSettings(
        kafka="127.0.0.1:9",
        partitions=1,
        events_max_streams=_MOST,
        events_lifetime_min_s=3600,
        events_lifetime_max_s=3600,
        events_degraded_after_s=60,
        events_drain_s=0,
        ticket_keys=_KEYS,
        ticket_kid="t1",
        token_keys={"a1": "a" * 32},
    )


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
