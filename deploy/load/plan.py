"""The plan of a load test: its options, read from the command line and checked. Pure."""

from __future__ import annotations

import argparse
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, cast, get_args
from urllib.parse import urlsplit

from client_sdk.contract.errors import YabamError

FaultName = Literal[
    "kill-events", "kill-core", "kill-relay", "stop-kafka", "freeze-postgres", "cut-all"
]
FAULT_NAMES: Final[tuple[FaultName, ...]] = get_args(FaultName)
OWNERS_PER_STORE: Final = 2
"""The first clients of a store are terminals, which follow its channel; each further one is a
guest's, and follows the channel of a table."""
CALM_S: Final = 10.0
"""The time that the system has at least to recover from each fault."""


class LoadTestError(YabamError):
    """The load test cannot be run, or could not be finished; the text says why."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The largest permitted latencies, in milliseconds; None: no limit."""

    delivery_p99_ms: float | None = None
    command_p99_ms: float | None = None


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """One load test; times in seconds."""

    clients: int
    stores: int
    orders_per_s: float
    ramp_s: float
    duration_s: float
    lifetime_s: tuple[float, float]
    faults: tuple[FaultName, ...]
    fault_s: float
    thresholds: Thresholds
    seed: int
    kafka: str | None
    database: str | None
    core: str | None
    keys: Path | None
    out: Path
    compiled_clients: bool
    """Whether the clients run in a C program, not in Python with the SDK's machine."""

    @property
    def fault_times(self) -> list[float]:
        """When each fault begins, in seconds after the ramp: evenly spread."""
        each = self.duration_s / (len(self.faults) + 1)
        return [each * (number + 1) for number in range(len(self.faults))]

    def tables_of(self, store: int) -> list[str | None]:
        """The store's tables that have clients; a store without any has only takeaway (None)."""
        at_store = (self.clients - store + self.stores - 1) // self.stores
        tables: list[str | None] = [str(n + 1) for n in range(at_store - OWNERS_PER_STORE)]
        return tables or [None]


def place_of(client: int, stores: int, prefix: str) -> tuple[str, str | None]:
    """The store that a client belongs to, and its table; None: it is a terminal of the owner.

    Args:
        client: the client's number, from 0.
        stores: the number of stores.
        prefix: the prefix of the stores' ids, so that runs do not share stores.
    """
    store, place = client % stores, client // stores
    name = f"{prefix}{store}"
    if place < OWNERS_PER_STORE:
        return name, None
    return name, str(place - OWNERS_PER_STORE + 1)


def channel_of(client: int, stores: int, prefix: str) -> str:
    """The channel that a client follows.

    Args:
        client: the client's number, from 0.
        stores: the number of stores.
        prefix: the prefix of the stores' ids, so that runs do not share stores.
    """
    store, table = place_of(client, stores, prefix)
    return f"store:{store}" if table is None else f"table:{store}/{table}"


def read_plan(arguments: Sequence[str]) -> LoadPlan:
    """Read the command line.

    Raises:
        LoadTestError: options contradict each other; the text says which and why.
    """
    options = _parser().parse_args(arguments)
    plan = LoadPlan(
        clients=options.clients,
        stores=options.stores or max(1, options.clients // 10),
        orders_per_s=options.orders,
        ramp_s=options.ramp,
        duration_s=options.duration,
        lifetime_s=_range(options.lifetime),
        faults=_faults(options.faults),
        fault_s=options.fault_seconds,
        thresholds=Thresholds(options.max_p99_ms, options.max_command_p99_ms),
        seed=options.seed,
        kafka=options.kafka,
        database=options.database,
        core=options.core,
        keys=options.keys,
        out=options.out,
        compiled_clients=options.compiled_clients,
    )
    _check(plan)
    return plan


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="make load-test",
        description="Load the whole system with many clients and orders; check that none is lost.",
    )
    add = parser.add_argument
    add("--clients", type=int, default=1000, help="connections (1000)")
    add("--stores", type=int, help="stores; each has 2 terminals, the rest are tables (clients/10)")
    add("--orders", type=float, default=10.0, help="orders per second; each makes 6 events (10)")
    add("--ramp", type=float, default=10.0, help="seconds over which the clients start (10)")
    add("--duration", type=float, default=60.0, help="seconds under full load (60)")
    add("--lifetime", default="45-90", help="seconds that a stream lasts; not with --core (45-90)")
    add("--faults", default="", help=f"comma-separated, in order: {', '.join(FAULT_NAMES)}")
    add("--fault-seconds", type=float, default=5.0, help="how long each fault lasts (5)")
    add("--max-p99-ms", type=float, help="fail if 1 delivery in 100 took longer")
    add("--max-command-p99-ms", type=float, help="fail if 1 command in 100 took longer")
    add("--seed", type=int, default=1, help="seed of all random choices: tables, delays (1)")
    add("--kafka", help="host:port of a Kafka that runs already")
    add("--database", help="postgresql://… of a database that runs already")
    add("--core", help="http://127.0.0.1:8000: a system that runs already, on this machine")
    add("--keys", type=Path, help="its token key, e.g. var/local/keys.json of `make run`")
    add(
        "--compiled-clients",
        action="store_true",
        help="run the clients in a C program: it uses less CPU, so more clients fit",
    )
    add("--out", type=Path, default=Path("build"), help="folder of the report (build)")
    return parser


def _range(text: str) -> tuple[float, float]:
    low, _, high = text.partition("-")
    try:
        return float(low), float(high or low)
    except ValueError:
        raise LoadTestError(f"--lifetime {text!r} is not seconds such as 45-90") from None


def _faults(text: str) -> tuple[FaultName, ...]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in FAULT_NAMES:
            raise LoadTestError(f"{name!r} is no fault: choose from {', '.join(FAULT_NAMES)}")
    return tuple(cast("FaultName", name) for name in names)


def _check(plan: LoadPlan) -> None:
    least, most = plan.lifetime_s
    if plan.clients < 1 or plan.orders_per_s <= 0 or plan.duration_s <= 0 or plan.ramp_s < 0:
        raise LoadTestError("--clients, --orders and --duration must be above 0, --ramp not below")
    if not 1 <= plan.stores <= plan.clients:
        raise LoadTestError(f"--stores {plan.stores} must be between 1 and --clients")
    if not 1 <= least <= most:
        raise LoadTestError("--lifetime must be seconds from 1 on, the smaller number first")
    if plan.faults:
        each = plan.duration_s / (len(plan.faults) + 1)
        if each < plan.fault_s + CALM_S:
            need = (plan.fault_s + CALM_S) * (len(plan.faults) + 1)
            raise LoadTestError(
                f"{len(plan.faults)} faults need --duration {need:g} at least: each lasts "
                f"{plan.fault_s:g} s and gets {CALM_S:g} s to recover in"
            )
    if plan.core is not None:
        _check_given(plan, plan.core)
    elif plan.keys is not None:
        raise LoadTestError("--keys is for --core only")


def _check_given(plan: LoadPlan, core: str) -> None:
    host = urlsplit(core).hostname or ""
    if not core.startswith("http://") or not _is_loopback(host):
        raise LoadTestError(
            f"--core {core} is not http:// on this machine's loopback (127.0.0.1): a load test "
            "of another machine would also measure the network between them"
        )
    if plan.keys is None:
        raise LoadTestError("--core needs --keys, with which the clients' tokens are signed")
    if plan.kafka or plan.database:
        raise LoadTestError("--kafka and --database cannot be used with --core")
    killing = [name for name in plan.faults if name != "cut-all"]
    if killing:
        raise LoadTestError(
            f"{', '.join(killing)}: the test causes these faults only in a system that it started "
            "itself; with --core there is cut-all only"
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
