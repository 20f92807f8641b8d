"""Measures the merge time and the buffer size of a buffered start: `make bench-sdk`."""

from __future__ import annotations

import statistics
import time
import tracemalloc

import msgspec

from client_sdk.buffered.machine import BufferedStart
from client_sdk.contract.order import OrderEvent
from tests.unit.client_sdk.samples import channel_sync, event, order, sync_response

MESSAGES = 1000
RUNS = 15


def run() -> tuple[float, float, float]:
    """One start with a full buffer: merge in ms, whole start in ms, buffer in MiB."""
    wire = [msgspec.json.encode(event(n, order(f"o{n}"))) for n in range(1, MESSAGES + 1)]
    machine = BufferedStart({"store:12": 0}, "e")
    began = time.perf_counter()
    machine.start(0.0)
    machine.connected(0.0)
    machine.subscribed(0.0)
    tracemalloc.start()
    for text in wire:
        machine.message(msgspec.json.decode(text, type=OrderEvent), 0.1)
    buffer_mib = tracemalloc.get_traced_memory()[0] / 2**20
    tracemalloc.stop()
    half = [event(n) for n in range(1, MESSAGES // 2 + 1)]
    machine.fetched(sync_response(channel_sync(half)), 0.2)
    merging = time.perf_counter()
    machine.tick(2.0)
    done = time.perf_counter()
    return (done - merging) * 1e3, (done - began) * 1e3, buffer_mib


def main() -> None:
    """Print the medians."""
    merges, wholes, buffers = zip(*(run() for _ in range(RUNS)), strict=True)
    print(f"buffered start, {MESSAGES} messages buffered, median of {RUNS} runs")
    print(f"  merging a full buffer   {statistics.median(merges):8.2f} ms   (target < 100 ms)")
    print(f"  buffer memory           {statistics.median(buffers):8.2f} MiB  (target < 10 MB)")
    print(
        f"  whole start, own work   {statistics.median(wholes):8.2f} ms   "
        "(plus the overlap window of 1,500 ms; target < 5 s)"
    )


if __name__ == "__main__":
    main()
