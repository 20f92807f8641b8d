"""What a link really does to packets: `python -m tests.bench.link --delay-ms 100 --loss 0.01`.

Sends datagrams through one in each direction, and a text by TCP, and prints as JSON which datagrams
were lost, how long the others took, and how often the kernel had to send again for the text to
come whole.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import socket
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from tests.bench.link.network import LinkError, enter_own_network, sent_again, socket_in
from tests.bench.link.program import FAR, NEAR, Direction, Link, Quality, compiled

_PORT: Final = 7777
_AT_ONCE: Final = 100
"""So few that a socket's buffer holds them: what is lost is lost by the link."""
_WITHIN_S: Final = 60.0


async def datagrams(
    sender: socket.socket,
    receiver: socket.socket,
    seen: Callable[[], Awaitable[Direction]],
    count: int,
) -> dict[str, Any]:
    """Send so many: which were lost, and how long the others took.

    Args:
        sender: one end's.
        receiver: the other end's.
        seen: what has come into this direction.
        count: how many.
    """
    loop = asyncio.get_running_loop()
    took: dict[int, float] = {}
    for begin in range(0, count, _AT_ONCE):
        numbers = range(begin, min(begin + _AT_ONCE, count))
        before = await seen()
        sent = {}
        for number in numbers:
            sent[number] = time.monotonic()
            sender.sendto(str(number).encode(), receiver.getsockname())
        while (now := await seen()).came < before.came + len(numbers):
            pass
        for _ in range(len(numbers) - (now.lost - before.lost)):
            number = int(await loop.sock_recv(receiver, 100))
            took[number] = time.monotonic() - sent[number]
    return {
        "lost": [number for number in range(count) if number not in took],
        "least_ms": min(took.values(), default=0.0) * 1e3,
        "median_ms": statistics.median(took.values()) * 1e3 if took else 0.0,
    }


async def text(near: socket.socket, far: socket.socket, size: int) -> dict[str, Any]:
    """Send so many bytes from near to far by TCP: whether they came as they were."""
    loop = asyncio.get_running_loop()
    data = random.Random(size).randbytes(size)
    far.bind((FAR, _PORT))
    far.listen()
    before = sent_again()
    connecting = asyncio.ensure_future(loop.sock_connect(near, (FAR, _PORT)))
    came, _ = await loop.sock_accept(far)
    with came:
        await connecting
        sending = asyncio.ensure_future(loop.sock_sendall(near, data))
        got = bytearray()
        while len(got) < size and (more := await loop.sock_recv(came, 65536)):
            got += more
        await sending
    return {"whole": bytes(got) == data, "sent_again": sent_again() - before}


async def tried(options: argparse.Namespace) -> dict[str, Any]:
    """All of it, one after the other."""
    quality = Quality(options.delay_ms, options.loss, options.seed)
    link = Link(compiled(options.build), quality)
    await link.start()

    async def there() -> Direction:
        return (await link.carried()).there

    async def back() -> Direction:
        return (await link.carried()).back

    try:
        sockets = [
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
            socket_in(link.pid, socket.SOCK_DGRAM),
            socket.socket(socket.AF_INET, socket.SOCK_STREAM),
            socket_in(link.pid, socket.SOCK_STREAM),
        ]
        for one in sockets:
            one.setblocking(False)
        near, far, near_stream, far_stream = sockets
        near.bind((NEAR, _PORT))
        far.bind((FAR, _PORT))
        async with asyncio.timeout(_WITHIN_S):
            found = {
                "there": await datagrams(near, far, there, options.packets),
                "back": await datagrams(far, near, back, options.packets),
                "text": await text(near_stream, far_stream, options.bytes),
            }
        for one in sockets:
            one.close()
        carried = await link.carried()
        return found | {"overflowed": carried.overflowed}
    finally:
        await link.stop()


def main() -> None:
    """Try it, and print what was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.link", description=__doc__)
    parser.add_argument("--delay-ms", type=float, default=100, help="in each direction")
    parser.add_argument("--loss", type=float, default=0.01, help="the probability of each packet")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--packets", type=int, default=1000)
    parser.add_argument("--bytes", type=int, default=300_000)
    parser.add_argument("--build", type=Path, default=Path("build/bench"))
    options = parser.parse_args()
    try:
        enter_own_network()
        print(json.dumps(asyncio.run(tried(options)), indent=1))
    except LinkError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
