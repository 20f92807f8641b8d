"""The operations of a quick run, each measured once per round beside the bare protocol."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

import uvloop

from core_api.access.callers import Caller
from deploy.local.postgres import EmbeddedPostgres
from tests.bench.edits.cases import LINES, MANY_STORES
from tests.bench.edits.generator import Assignment, Told, run_generator
from tests.bench.edits.serving import tokens
from tests.bench.fanout.measure import cpu_seconds
from tests.bench.fanout.measurements import cost
from tests.bench.fanout.rivals import Bare
from tests.bench.fanout.system import System
from tests.bench.fanout.yabam import Yabam
from tests.bench.firehose import fill as fill_topic
from tests.bench.firehose import records, through_kafka
from tests.bench.quick.results import Round
from tests.bench.sync.cases import BEHIND, Case, Load
from tests.bench.sync.fill import fill, make_database
from tests.bench.sync.systems import ROOMY, Serving, measured, token_maker
from tests.bench.sync.wrk import BenchError, Request, run_wrk, write_requests

_STREAMS: Final = 1000
_DELIVERIES: Final = 50_000
_CHANNELS: Final = 1000
_EVENTS: Final = 20
_RECORDS: Final = 30_000
_CLIENTS: Final = 64
_SECONDS: Final = 1
_SEED: Final = 11
_ORDER: Final = {
    "currency": "KRW",
    "items": [
        {"name": "Gimbap", "quantity": 2, "unit_price": 3500},
        {"name": "Tteokbokki", "quantity": 1, "unit_price": 5000},
    ],
}


class Pushed:
    """Measures a delivery and a connect, of the event server with Kafka and of the bare protocol.

    Args:
        kafka: the address of Kafka.
        program: the program of the subscribers.
        folder: for files.
    """

    def __init__(self, kafka: str, program: Path, folder: Path) -> None:
        self._kafka = kafka
        self._program = program
        self._folder = folder

    def measure(self) -> Round:
        """Measure one round."""
        found: Round = {}
        for prefix, system in (("", Yabam(self._kafka, _STREAMS)), ("bare ", Bare())):
            work = self._cost(system)
            delivery, connect = asyncio.run(work)
            found |= {f"{prefix}delivery": delivery, f"{prefix}connect": connect}
        return found

    async def _cost(self, system: System) -> tuple[float, float]:
        spent = await cost(system, self._program, self._folder, _STREAMS, _DELIVERIES)
        return spent.cpu_us_per_delivery, spent.cpu_us_per_connect


class Answered:
    """Measures syncs, orders and edits of a Core with a real PostgreSQL, and the bare protocol.

    Args:
        postgres: a running PostgreSQL.
        folder: for files and logs.
    """

    def __init__(self, postgres: EmbeddedPostgres, folder: Path) -> None:
        self._postgres = postgres
        self._folder = folder
        database = asyncio.run(make_database(postgres, "quick"))
        asyncio.run(fill(database, _CHANNELS, _EVENTS))
        self.core = Serving("yabam", database, folder / "core", ROOMY)
        self._requests = {f"sync, {case.replace('-', ' ')}": self._syncs(case) for case in BEHIND}
        self._requests["order"] = self._orders()
        self._versions: dict[int, int] = {}
        self._rounds = 0

    def measure(self) -> Round:
        """Measure one round.

        Raises:
            BenchError: a request got a wrong answer.
        """
        found = {"bare answer": asyncio.run(self._bare())}
        for name, file in self._requests.items():
            found[name] = self._cost(partial(self._load, self.core.url, file))
        found["edit"] = self._cost(self._edits)
        return found

    def _cost(self, load: Callable[[], Load]) -> float:
        sample = measured(load, self.core.process, self._postgres, _SECONDS)
        if sample.load.failed:
            raise BenchError(f"{sample.load.failed} requests were not answered well")
        return (sample.server_cpu + sample.postgres_cpu) / sample.load.req_s * 1e6

    def _load(self, url: str, file: Path) -> Load:
        return run_wrk(url, file, _CLIENTS, _SECONDS, _SEED)

    async def _bare(self) -> float:
        system = Bare("answers")
        await system.start()
        try:
            before = cpu_seconds(system.pids())
            url = f"http://127.0.0.1:{system.port}"
            file = self._requests["sync, nothing new"]
            load = await asyncio.to_thread(self._load, url, file)
            return (cpu_seconds(system.pids()) - before) / (load.req_s * _SECONDS) * 1e6
        finally:
            await system.stop()

    def _edits(self) -> Load:
        self._rounds += 1
        work = Assignment(
            self.core.url,
            tokens(),
            f"quick-{self._rounds}",
            "ring",
            MANY_STORES,
            LINES[MANY_STORES],
            _SECONDS,
            versions=self._versions,
        )
        told: Told = run_generator(work)
        self._versions = told.versions
        return told.load

    def _syncs(self, case: Case) -> Path:
        sign = token_maker()
        after = _EVENTS - BEHIND[case]
        requests = [
            Request(
                "GET",
                f"/v1/sync?channel=store:{n}&lastEventId=store:{n}@{after}",
                sign(Caller(f"pos-{n}", "owner", frozenset({str(n)}))),
            )
            for n in range(1, _CHANNELS + 1)
        ]
        return write_requests(self._folder / f"{case}.txt", requests)

    def _orders(self) -> Path:
        chance = random.Random(_SEED)
        token = token_maker()(Caller("producer-1", "producer", frozenset({"*"})))
        # Not the stores that sync, because their channels must not change.
        stores = range(_CHANNELS + 1, 2 * _CHANNELS + 1)
        placed = [
            _ORDER | {"store_id": str(store), "table_id": str(chance.randrange(20))}
            for store in stores
        ]
        requests = [Request("POST", "/v1/orders", token, json.dumps(one)) for one in placed]
        return write_requests(self._folder / "orders.txt", requests)


class Firehose:
    """Measures a record of a channel without followers, from Kafka to the ring.

    Args:
        kafka: the address of Kafka.
    """

    def __init__(self, kafka: str) -> None:
        self._kafka = kafka
        self._topic = f"quick-{time.time_ns()}"
        uvloop.run(fill_topic(kafka, self._topic, records(_RECORDS, 100), time.time()))

    def measure(self) -> Round:
        """Measure one round."""
        spent = uvloop.run(through_kafka(self._kafka, self._topic, _RECORDS))
        return {"firehose record": spent / _RECORDS * 1e6}
