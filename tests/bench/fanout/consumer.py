"""An aiokafka consumer that only reads, in its own process, on uvloop like the server.

    python -m tests.bench.fanout.consumer BOOTSTRAP TOPIC FETCH_WAIT_MS

It prints `ready`, and answers each line of its standard input with JSON: the number of events since
the last line, and how long they took from the publisher to this process.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

import uvloop
from aiokafka import AIOKafkaConsumer, TopicPartition


async def _follow(bootstrap: str, topic: str, fetch_wait_ms: int) -> None:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, fetch_max_wait_ms=fetch_wait_ms)
    waits: list[float] = []
    await consumer.start()
    try:
        part = TopicPartition(topic, 0)
        await consumer.end_offsets([part])
        consumer.assign([part])
        await consumer.seek_to_end(part)
        answering = asyncio.create_task(_answer(waits))
        print("ready", flush=True)
        async for record in consumer:
            if record.value is not None:
                waits.append(time.time() - json.loads(record.value)["t"] / 1e9)
            if answering.done():
                break
    finally:
        await consumer.stop()


async def _answer(waits: list[float]) -> None:
    lines = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while await lines.readline():
        found = sorted(waits)
        waits.clear()
        p50, p99 = (found[int(len(found) * part)] * 1e3 if found else 0.0 for part in (0.5, 0.99))
        print(json.dumps({"events": len(found), "p50_ms": p50, "p99_ms": p99}), flush=True)


if __name__ == "__main__":
    uvloop.run(_follow(sys.argv[1], sys.argv[2], int(sys.argv[3])))
