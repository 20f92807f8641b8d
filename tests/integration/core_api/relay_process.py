"""A relay in its own process, to be killed and frozen: DATABASE BOOTSTRAP TOPIC ID TTL."""

from __future__ import annotations

import asyncio
import signal
import sys

from core_api.postgres.pool import open_pool
from core_api.relay.main import run_relay
from server_common.sockets import bind
from tests.integration.core_api.relaying import PRODUCER, relay_settings


async def main(database_url: str, bootstrap: str, topic: str, relay_id: str, ttl_s: str) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    pool = await open_pool(database_url, size=2, command_timeout_s=10, name=relay_id)
    await run_relay(
        relay_settings(database_url, bootstrap, topic, float(ttl_s)),
        pool=pool,
        relay_id=relay_id,
        verify=lambda _: PRODUCER,
        listener=bind("127.0.0.1", 0, "none"),
        stop=stop,
    )
    pool.terminate()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
