"""Follows one channel with the SDK that PYTHONPATH names, and prints what it receives.

    python follow.py CORE_URL TOKEN CHANNEL CURSOR_FILE

It prints one line of JSON for each change and for each mode. It runs in its own process, and uses
only what that SDK had.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import client_sdk
from client_sdk import FileCursors, OrderClient, OrderEvent, Reset, Settings

IMPATIENT = Settings(stream_failures=1, backoff_first=0.05, backoff_most=0.5, connect_timeout=3.0)


def tell(**said: Any) -> None:
    print(json.dumps(said), flush=True)


async def tell_modes(client: OrderClient) -> None:
    async for status in client.statuses():
        tell(mode=status.mode)


async def main(core_url: str, token: str, channel: str, cursor_file: str) -> None:
    tell(sdk=client_sdk.__file__)
    async with OrderClient(
        core_url,
        token,
        [channel],
        cursors=FileCursors(cursor_file),
        device="till-1",
        settings=IMPATIENT,
    ) as client:
        modes = asyncio.create_task(tell_modes(client))
        async for change in client.events():
            digest = f"{client.orders.digest(channel):016x}"
            if isinstance(change, OrderEvent):
                tell(event=change.seq, digest=digest)
            elif isinstance(change, Reset):
                tell(reset=change.reason, head=change.head, digest=digest)
        await modes


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
