"""A relay as a process of its own, to be killed and frozen: DATABASE BOOTSTRAP TOPIC ID TTL."""

from __future__ import annotations

import asyncio
import signal
import sys

from core_api.postgres.pool import open_pool
from core_api.receipts.alarm import AlarmSettings
from core_api.relay.main import run_relay
from server_common.sockets import bind
from tests.integration.core_api.relaying import PARTITIONS, PRODUCER


async def main(database_url: str, bootstrap: str, topic: str, relay_id: str, ttl_s: str) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    pool = await open_pool(database_url, size=2, command_timeout_s=10, name=relay_id)
    await run_relay(
        watch=AlarmSettings("store-alerts", 180.0, 300.0, 3600.0),
        pool=pool,
        database_url=database_url,
        bootstrap=bootstrap,
        topic=topic,
        partitions=PARTITIONS,
        relay_id=relay_id,
        verify=lambda _: PRODUCER,
        listener=bind("127.0.0.1", 0, "none"),
        stop=stop,
        lease_ttl_s=float(ttl_s),
    )
    pool.terminate()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
