"""How many records of channels that nobody follows an event server takes in, per core and second.

`python -m tests.bench.firehose` drives the real intake, hub and rings, and nothing else: no Kafka
client and no sockets. It prints the median of several rounds in CPU time.
"""

from __future__ import annotations

import argparse
import statistics
import time

from client_sdk.contract.record import Headers, OrderRecord, encode_order_record
from event_server.clock import DatabaseClock
from event_server.frames import Frames, as_chunk
from event_server.hub import Hub
from event_server.intake import Intake, Reach
from event_server.main import collect_rarely
from event_server.ring import Rings

EPOCH = "01M7Y0RVFX7GQRHXE522T5TA8A"
LINE_BYTES = 700
PER_SECOND = 20_000
"""Records that carry the same second of the database's clock."""


def records(count: int, stores: int) -> list[tuple[bytes, Headers]]:
    """Order records of `stores` stores in turn, each with a store's and a table's event."""
    line = b"x" * LINE_BYTES
    made: list[tuple[bytes, Headers]] = []
    for n in range(count):
        store, seq = n % stores, n // stores + 1
        ids = (f"store:{store}@{seq}", f"table:{store}/{seq % 10}@{seq}")
        record = OrderRecord(EPOCH, "order.placed", "2026-11-21T00:00:00Z", ids, (line, line))
        made.append(encode_order_record(record))
    return made


def run(taken: list[tuple[bytes, Headers]]) -> float:
    """Take them all in; CPU seconds."""
    frames = Frames(as_chunk)
    hub = Hub(Rings(256, 128 << 20), frames, DatabaseClock(), [0])
    intake = Intake(hub, {0: Reach(0, 0.0)}, lambda kind, reason: None)
    began = time.process_time()
    for offset, (value, headers) in enumerate(taken):
        intake.take(0, offset, float(offset // PER_SECOND), value, headers, 0.0)
    return time.process_time() - began


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.firehose", description=__doc__)
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    collect_rarely()
    for stores in (100, 10_000):
        taken = records(options.records, stores)
        seconds = statistics.median(run(taken) for _ in range(options.rounds))
        rate = options.records / seconds
        print(f"{stores:>7,} stores: {rate:>9,.0f} records/s per core, {1e6 / rate:.2f} µs each")


if __name__ == "__main__":
    main()
