"""How much CPU a standby that answers syncs saves the primary, for the same polls.

    python -m tests.bench.replica [--polls 4000]

Runs a primary, a standby that streams from it, a relay and one Core. Clients that are up to date
poll while a few orders are placed. It runs twice: without `YABAM_REPLICA_DATABASE_URL`, and with
it. The CPU time is that of all processes of each PostgreSQL, so other work hardly changes it.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import asyncpg
import httpx

from core_api.postgres.migrate import upgrade
from deploy.local.broker import EmbeddedBroker
from deploy.local.postgres import EmbeddedPostgres
from deploy.local.stack import Addresses, Stack, free_ports
from tests.drilled_postgres import DrilledPostgres
from tests.integration.core_service import KEYS, an_order, bearer, token
from tests.standbys import Standby

_CLIENTS: Final = 20
_POLLS_PER_ORDER: Final = 100
_TICKS_PER_S: Final = 100.0


def main() -> None:
    """Measure both, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.replica", description=__doc__)
    parser.add_argument("--polls", type=int, default=4000, help="how many in each of two runs")
    polls = parser.parse_args().polls
    folder = Path(tempfile.mkdtemp(prefix="yabam-replica-"))
    try:
        print("| syncs read from | CPU of the primary | of the standby | by the standby |")
        print("| --- | ---: | ---: | ---: |")
        for name in ("the primary", "the standby, where it has enough"):
            home = folder / name.partition(",")[0].replace(" ", "-")
            home.mkdir()
            print(f"| {name} |{asyncio.run(_measure(home, polls, 'standby' in name))}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _measure(folder: Path, polls: int, by_standby: bool) -> str:
    primary = DrilledPostgres(folder / "primary")
    standby = Standby(primary, folder / "standby")
    broker = EmbeddedBroker(folder)
    try:
        for start in (primary.start, standby.start, broker.start):
            start()
        await standby.follow(is_synchronous=False)
        await upgrade(primary.url)
        more = {"YABAM_REPLICA_DATABASE_URL": standby.server.url} if by_standby else {}
        kafka = broker.bootstrap
        stack = Stack(Addresses(primary.url, kafka, ports=free_ports()), KEYS, folder, more)
        stack.core.start()
        stack.relay.start()
        try:
            stack.core.wait_ready(60)
            await _witnessed(standby.server.url)
            before = [_cpu_s(primary), _cpu_s(standby.server)]
            share = await _poll(stack.core_url, polls)
            after = [_cpu_s(primary), _cpu_s(standby.server)]
        finally:
            stack.core.kill()
            stack.relay.kill()
    finally:
        broker.stop()
        standby.stop()
        primary.stop_at_once()
    spent = [(b - a) / polls * 1e6 for a, b in zip(before, after, strict=True)]
    return f" {spent[0]:.0f} µs | {spent[1]:.0f} µs | {share:.0%} |"


async def _witnessed(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        while not await connection.fetchval("SELECT EXISTS (SELECT FROM epoch_witness)"):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    finally:
        await connection.close()


async def _poll(core_url: str, polls: int) -> float:
    """Poll and place orders. Returns the share of polls that the standby answered."""
    async with httpx.AsyncClient(base_url=core_url, timeout=30) as http:

        async def client(store: str) -> None:
            owner = bearer(token("owner", store))
            asked: dict[str, Any] = {"channel": f"store:{store}"}
            for n in range(polls // _CLIENTS):
                if n % _POLLS_PER_ORDER == 0:
                    body = an_order(store)
                    (await http.post("/v1/orders", json=body, headers=owner)).raise_for_status()
                answer = await http.get("/v1/sync", params=asked, headers=owner)
                found = answer.raise_for_status().json()
                asked |= {"lastEventId": found["cursor"], "epoch": found["epoch"]}

        await asyncio.gather(*(client(str(n)) for n in range(_CLIENTS)))
        metrics = (await http.get("/metrics", headers=bearer(token("ops")))).text
    name = 'yabam_core_replica_syncs_total{outcome="replica"} '
    counted = [line for line in metrics.splitlines() if line.startswith(name)]
    return sum(float(line.rpartition(" ")[2]) for line in counted) / polls


def _cpu_s(server: EmbeddedPostgres) -> float:
    """The CPU time of a server's processes, ended ones included."""
    return sum(_of_process(pid) for pid in [server.process.pid, *_children(server.process.pid)])


def _children(pid: int) -> Iterator[int]:
    for task in Path(f"/proc/{pid}/task").iterdir():
        yield from map(int, (task / "children").read_text().split())


def _of_process(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own, of_ended = fields[11:13], fields[13:15]
    return sum(map(int, own + of_ended)) / _TICKS_PER_S


if __name__ == "__main__":
    main()
