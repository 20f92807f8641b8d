"""The measured processes: Core and its rivals, and their cost."""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx
import psutil

from core_api.access.callers import Caller
from core_api.access.tokens import TokenKeys
from core_api.wiring import token_keys
from deploy.local.postgres import EmbeddedPostgres
from deploy.local.stack import Addresses, Keys, Stack, free_ports
from deploy.processes.ports import free_port
from deploy.processes.process import Process
from tests.bench.sync.cases import Load, Sample, System
from tests.bench.sync.rivals import OPENERS
from tests.bench.sync.wrk import BenchError, Request

KEYS: Final = Keys(token="t" * 32, ticket="k" * 32)
# The benchmark leaves more orders open in a second than a store may have.
ROOMY: Final = {
    f"YABAM_OPEN_{of}_{what}": most
    for of in ("TABLE", "SUBJECT", "STORE")
    for what, most in (("ORDERS", "1000000"), ("BYTES", str(30 << 20)))
}
_TOKEN_LIFETIME_S: Final = 86_400


class Serving:
    """One process that answers Fetch Sync with one database.

    Args:
        system: Core or one of its rivals.
        database: the URL of the database.
        folder: for its log.
        extra: more settings.
    """

    def __init__(
        self, system: System, database: str, folder: Path, extra: dict[str, str] | None = None
    ) -> None:
        stack = Stack(Addresses(database, "127.0.0.1:1", ports=free_ports()), KEYS, folder, extra)
        if system in OPENERS:
            port = free_port()
            self.url = f"http://127.0.0.1:{port}"
            self.process = Process(
                system,
                [sys.executable, "-m", "tests.bench.sync.rivals", system, str(port)],
                stack.environment,
                folder / f"{system}.log",
                self.url,
            )
        else:
            self.url = stack.core_url
            self.process = stack.core

    def start(self) -> None:
        """Start it and wait until it is ready."""
        self.process.start()
        self.process.wait_ready(30)

    def channels_of(self, request: Request) -> object:
        """Its answer for the channels of this request.

        Raises:
            BenchError: it refused the request.
        """
        answer = httpx.get(
            self.url + request.path, headers={"authorization": f"Bearer {request.token}"}
        )
        if answer.status_code != 200:
            raise BenchError(f"{self.process.name} answers {answer.status_code}: {answer.text}")
        return answer.json()["channels"]


def token_maker() -> Callable[[Caller], str]:
    """Make a function that makes tokens valid for the processes."""
    keys: TokenKeys = token_keys({"local": KEYS.token}, "local")
    return lambda caller: keys.sign(caller, _TOKEN_LIFETIME_S)


def measured(
    run: Callable[[], Load], server: Process | None, postgres: EmbeddedPostgres, seconds: float
) -> Sample:
    """Run a load of this many seconds, and measure its cost."""
    before = _server_cpu(server), tree_cpu(postgres.process.pid), _generator_cpu()
    load = run()
    after = _server_cpu(server), tree_cpu(postgres.process.pid), _generator_cpu()
    costs = [(end - start) / seconds for start, end in zip(before, after, strict=True)]
    return Sample(load, *costs)


@contextmanager
def running(processes: list[Process]) -> Iterator[None]:
    """Stop them at the end, whatever happens."""
    try:
        yield
    finally:
        for process in processes:
            process.stop()


def _server_cpu(server: Process | None) -> float:
    if server is None:
        return 0.0
    times = psutil.Process(server.pid).cpu_times()
    return times.user + times.system


def tree_cpu(pid: int) -> float:
    """The CPU of a process and its children, ended ones included, since pgbench disconnects."""
    postmaster = psutil.Process(pid)
    own = postmaster.cpu_times()
    total = own.user + own.system + own.children_user + own.children_system
    for child in postmaster.children():
        try:
            times = child.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total


def _generator_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
