"""The guide's own programs, copied as a reader would, while every server is killed."""

from __future__ import annotations

import asyncio
import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from client_sdk import Item, OrderProducer
from deploy.kafka.server import KafkaServer
from deploy.local.postgres import EmbeddedPostgres
from tests.end_to_end.conftest import Installation
from tests.end_to_end.followers import heads, until_not_ready

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.xdist_group("kafka")]

GUIDE = Path(__file__).parents[2] / "docs" / "sdk.md"
ITEMS = [Item("Bibimbap", 1, 9_500)]
STEPS = ("accepted", "ready", "served", "paid")


@pytest.fixture
def extra_settings() -> dict[str, str]:
    return {"YABAM_EVENTS_DEGRADED_AFTER_S": "3", "YABAM_RELAY_LEASE_S": "2"}


def program(heading: str) -> str:
    """The first program under a heading of the guide."""
    section = GUIDE.read_text().partition(f"## {heading}\n")[2].partition("\n## ")[0]
    found = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    assert found is not None, heading
    return found[1]


class Running:
    """A program of the guide in a process of its own, in a folder of its own."""

    def __init__(self, source: str, stack: Installation, folder: Path) -> None:
        self._folder = folder
        (folder / "program.py").write_text(source)
        self._environment = os.environ | {
            "YABAM_CORE_URL": stack.core_url,
            "YABAM_TOKEN": stack.token("owner", "1"),
        }
        self.output = folder / "output"
        self.start()

    def start(self) -> None:
        with self.output.open("ab") as out:
            self._child = subprocess.Popen(
                [sys.executable, "program.py"],
                cwd=self._folder,
                env=self._environment,
                stdout=out,
                stderr=out,
            )

    def kill(self) -> None:
        self._child.kill()
        self._child.wait()

    async def printed(self, text: str) -> None:
        while text not in self.output.read_text():
            assert self._child.poll() is None, self.output.read_text()[-2000:]
            await asyncio.sleep(0.05)


async def live(producer: OrderProducer, orders: int) -> None:
    for table in range(orders):
        order = await producer.place("1", ITEMS, currency="KRW", table_id=str(table % 2 + 1))
        for step in STEPS:
            await producer.transition(order.id, step)


async def test_the_first_program_survives_the_killing_of_every_server_and_of_itself(
    stack: Installation, kafka: KafkaServer, postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    running = Running(program("Follow a store"), stack, tmp_path)
    async with OrderProducer(stack.core_url, stack.token("owner", "1"), attempts=40) as producer:
        while "order.paid" not in running.output.read_text():
            await live(producer, 1)  # what was over before its first sync is not told
        for part in (stack.core, stack.events, stack.relay, postgres, kafka, running):
            part.kill()
            orders = asyncio.create_task(live(producer, 5))
            if part in (stack.core, postgres):
                await until_not_ready(stack.core_url)
            else:
                await orders  # all five are placed while it is down
            await asyncio.to_thread(part.start)
            await orders
    head = (await heads(stack.addresses.database))["store:1"]
    try:
        async with asyncio.timeout(60):
            await running.printed(f"store:1@{head} ")
    finally:
        running.kill()
    printed = [line.split()[0] for line in running.output.read_text().splitlines()]
    seen = [int(name.rpartition("@")[2]) for name in printed]
    # The program itself was killed once: what it had in hand then may stand there twice.
    assert sorted(set(seen)) == list(range(seen[0], head + 1))
    assert len(seen) - len(set(seen)) <= 1


async def test_the_transactional_program_books_each_payment_once(
    stack: Installation, tmp_path: Path
) -> None:
    source = program("Exactly once, with your database")
    running = Running(source, stack, tmp_path)
    async with OrderProducer(stack.core_url, stack.token("owner", "1"), attempts=40) as producer:
        while not kept(tmp_path / "till.db"):
            await live(producer, 1)  # what was over before its first sync is not told
        before = read_till(tmp_path / "till.db")[0]
        booking = asyncio.create_task(live(producer, 20))
        for _ in range(5):
            await asyncio.sleep(0.3)  # long enough to be in the middle of something
            running.kill()
            running.start()
        await booking
    try:
        async with asyncio.timeout(30):
            while True:
                takings, position = read_till(tmp_path / "till.db")
                if position == (await heads(stack.addresses.database))["store:1"]:
                    break
                await asyncio.sleep(0.05)
    finally:
        running.kill()
    assert "Traceback" not in running.output.read_text()
    # Those that were paid while it first started may or may not have been booked before.
    assert 20 <= takings - before <= 21


def kept(path: Path) -> bool:
    """Whether the program has kept a cursor."""
    return read_till(path)[1] > 0


def read_till(path: Path) -> tuple[int, int]:
    """How many payments are booked, and the cursor that is kept beside them."""
    try:
        with sqlite3.connect(path) as database:
            takings, checkpoint = database.execute(
                "SELECT (SELECT count(*) FROM takings), (SELECT checkpoint FROM yabam_cursor)"
            ).fetchone()  # one statement: the program goes on meanwhile
    except sqlite3.OperationalError:
        return 0, 0
    position = re.search(rb'"store:1":(\d+)', checkpoint) if checkpoint else None
    return takings, int(position[1]) if position else 0
