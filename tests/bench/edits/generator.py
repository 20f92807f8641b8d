"""Makes load of edits over HTTP. Each connection is one client with its own numbers.

It replaces wrk, which cannot count per connection. It moves bytes directly to and from the sockets
and needs a tenth of what Core needs for an edit. It runs in its own process, so that its CPU is
counted separately.

    python -m tests.bench.edits.generator        (an `Assignment` as JSON on stdin, a `Told` back)
"""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

import msgspec
import uvloop
from msgspec import Struct

from tests.bench.edits.cases import Operation
from tests.bench.sync.cases import Load
from tests.bench.sync.wrk import BenchError

_ANSWERED_WITHIN_S: Final = 10.0
_LENGTH: Final = b"content-length: "
_VERSION: Final = b'"version":'
_TOOK_EFFECT: Final = (b'"outcome":"applied"', b'"outcome":"settled"')
_SHOWN_BYTES: Final = 300


class Assignment(Struct, frozen=True):
    """The edits to send."""

    url: str
    tokens: list[str]
    """A token for each connection."""
    run: str
    """The clients of each run have new ids, because their numbers start at 1."""
    operation: Operation
    stores: int
    """How many documents the edits go to, chosen at random."""
    lines: int
    """How many lines a cart has. Each client always changes the same one."""
    seconds: float
    rate: float | None = None
    """Edits per second of all connections together; None: each sends again once it is answered."""
    versions: dict[int, int] = {}
    """The newest version of each document that the clients know, by its store."""
    seed: int = 11


class Told(Struct, frozen=True):
    """The result of the load."""

    load: Load
    edits: int
    versions: dict[int, int]
    """The newest version of each document, by its store."""
    cpu_s: float
    """The CPU of the generator itself, without the start of its process."""


class _Tally:
    """Counts what all connections have received."""

    def __init__(self, versions: dict[int, int]) -> None:
        self.versions = versions
        self.took_s: list[float] = []
        self.failed = 0
        self.first_failure = b""


class _Client(asyncio.Protocol):
    """One connection: one client, one edit at a time."""

    def __init__(self, number: int, work: Assignment, tally: _Tally, ends_at: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._number = number
        self._work = work
        self._tally = tally
        self._ends_at = ends_at
        self._chance = random.Random(work.seed * 1000 + number)
        self._n = 0
        self._store = 0
        self._sent_at = 0.0
        self._received = b""
        parts = urlsplit(work.url)
        self._head = (
            f"POST /v1/edits HTTP/1.1\r\nhost: {parts.netloc}\r\n"
            f"authorization: Bearer {work.tokens[number]}\r\n"
            "content-type: application/json\r\ncontent-length: "
        ).encode()
        self._transport: asyncio.Transport | None = None
        self.done: asyncio.Future[None] = self._loop.create_future()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start when the server is connected."""
        self._transport = transport
        rate = self._work.rate
        if rate is None:
            self._send()
        else:
            self._loop.call_later(self._number / rate, self._send)

    def data_received(self, data: bytes) -> None:
        """Take an answer or a part of one."""
        self._received += data
        head_end = self._received.find(b"\r\n\r\n")
        if head_end < 0:
            return
        begins = self._received.find(_LENGTH) + len(_LENGTH)
        length = int(self._received[begins : self._received.find(b"\r", begins)])
        if len(self._received) < head_end + 4 + length:
            return
        answer, self._received = self._received, b""
        self._note(answer, head_end)
        self._next()

    def connection_lost(self, _error: Exception | None) -> None:
        """Take the end of the connection, from either side."""
        if not self.done.done():
            self._tally.failed += 1
            self.done.set_result(None)

    def _note(self, answer: bytes, head_end: int) -> None:
        tally = self._tally
        tally.took_s.append(self._loop.time() - self._sent_at)
        at = answer.find(_VERSION, head_end) + len(_VERSION)
        if any(word in answer for word in _TOOK_EFFECT):
            digits = answer[at : at + 10]
            version = int(digits[: next(i for i, b in enumerate(digits) if not 48 <= b <= 57)])
            tally.versions[self._store] = max(version, tally.versions.get(self._store, 0))
            return
        tally.failed += 1
        tally.first_failure = tally.first_failure or answer[head_end:]

    def _next(self) -> None:
        rate = self._work.rate
        if rate is None:
            self._send()
        else:
            due = self._sent_at + len(self._work.tokens) / rate
            self._loop.call_at(max(due, self._loop.time()), self._send)

    def _send(self) -> None:
        self._sent_at = self._loop.time()
        if self._sent_at >= self._ends_at or self._transport is None:
            if not self.done.done():
                self.done.set_result(None)
            return
        self._n += 1
        self._store = self._chance.randrange(self._work.stores) + 1
        body = self._body()
        self._transport.write(b"%b%d\r\n\r\n%b" % (self._head, len(body), body))

    def _body(self) -> bytes:
        work, n = self._work, self._n
        if work.operation == "ring":
            key, do = "bell", '{"call":{"name":"ring","arguments":{"reason":"water"}}}'
        else:
            line = self._number % work.lines
            key, do = "cart", (
                f'{{"merge":{{"lines":{{"line-{line}":{{"name":"Gimbap",'
                f'"quantity":{n % 997 + 1},"unit_price":3500}}}}}}}}'
            )  # fmt: skip
        return (
            f'{{"client":"{work.run}-{self._number}","answered":{n - 1},"edits":[{{"n":{n},'
            f'"channel":"party:{self._store}/1","key":"{key}",'
            f'"base":{self._tally.versions.get(self._store, 0)},'
            f'"made_at":"{datetime.now(UTC).isoformat()}","do":{do}}}]}}'
        ).encode()


async def generate(work: Assignment) -> Told:
    """Send edits until the time is up.

    Raises:
        BenchError: an edit did not take effect.
    """
    loop = asyncio.get_running_loop()
    parts = urlsplit(work.url)
    tally = _Tally(dict(work.versions))
    began, cpu_before = loop.time(), time.process_time()
    clients = []
    for number in range(len(work.tokens)):
        _, client = await loop.create_connection(
            lambda number=number: _Client(number, work, tally, began + work.seconds),  # type: ignore[misc]
            parts.hostname or "",
            parts.port or 80,
        )
        clients.append(client)
    async with asyncio.timeout(work.seconds + _ANSWERED_WITHIN_S):
        await asyncio.gather(*(client.done for client in clients))
    took = sorted(tally.took_s)
    if tally.failed or not took:
        shown = tally.first_failure[:_SHOWN_BYTES].decode(errors="replace").strip()
        raise BenchError(f"{tally.failed} edits of {work.operation} took no effect: {shown}")
    load = Load(
        len(took) / (loop.time() - began),
        took[len(took) // 2] * 1e3,
        took[len(took) * 99 // 100] * 1e3,
        tally.failed,
    )
    return Told(load, len(took), tally.versions, time.process_time() - cpu_before)


def run_generator(work: Assignment) -> Told:
    """Do the same in its own process.

    Raises:
        BenchError: it failed.
    """
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.edits.generator"],
        input=msgspec.json.encode(work),
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        raise BenchError(f"the generator failed:\n{done.stderr.decode(errors='replace')[-3000:]}")
    return msgspec.json.decode(done.stdout, type=Told)


def main() -> int:
    """Generate the load of standard input. Returns the exit code."""
    try:
        found = uvloop.run(generate(msgspec.json.decode(sys.stdin.buffer.read(), type=Assignment)))
    except BenchError as error:
        print(error, file=sys.stderr)
        return 1
    print(msgspec.json.encode(found).decode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
