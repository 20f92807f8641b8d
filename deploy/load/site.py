"""The system under load: one that the test starts and may break, or one that runs already."""

from __future__ import annotations

import contextlib
import json
import resource
import secrets
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import psutil

from deploy.kafka.server import KafkaServer, ensure_libs
from deploy.load.clients.processes import workers_for
from deploy.load.plan import FaultName, LoadPlan, LoadTestError
from deploy.local.postgres import EmbeddedPostgres
from deploy.local.stack import Addresses, Keys, Stack, free_ports, load_keys
from deploy.processes.process import Process

_READY_WITHIN_S: Final = 60.0
_KAFKA_HEAP_MB: Final = 512


class Site(ABC):
    """A system under load."""

    core_url: str
    events_url: str | None
    """The event server's address; None: not known, and its health is not measured."""
    keys: Keys
    log: tuple[str, str] | None = None
    """Kafka's address and the topic of events; None: not known."""

    @abstractmethod
    def pids(self) -> Mapping[str, int]:
        """The ids of its current processes, by name."""

    @abstractmethod
    def breaks(self, fault: FaultName) -> tuple[Callable[[], None], Callable[[], None]]:
        """Two functions, which begin and end a fault; both may block."""


class OwnSite(Site):
    """A system that was started for this test; its Postgres and Kafka may have run before."""

    def __init__(
        self,
        stack: Stack,
        postgres: EmbeddedPostgres | None,
        kafka: KafkaServer | None,
        log: tuple[str, str],
    ) -> None:
        self.core_url = stack.core_url
        self.events_url = stack.events_url
        self._stack = stack
        self._postgres = postgres
        self._kafka = kafka
        self.log = log
        self.keys = load_keys(stack.folder / "keys.json")

    def pids(self) -> Mapping[str, int]:
        """The ids of all processes that were started for this test, by name."""
        found = {process.name: process.pid for process in self._stack.processes}
        if self._postgres is not None:
            found["postgres"] = self._postgres.process.pid
        if self._kafka is not None:
            found["kafka"] = self._kafka.process.pid
        return found

    def breaks(self, fault: FaultName) -> tuple[Callable[[], None], Callable[[], None]]:
        """Kill and restart, stop and start, or freeze and resume.

        Raises:
            LoadTestError: the test did not start what the fault would affect.
        """
        match fault:
            case "kill-events":
                return _killing(self._stack.events)
            case "kill-core":
                return _killing(self._stack.core)
            case "kill-relay":
                return _killing(self._stack.relay)
            case "stop-kafka":
                kafka = self._kafka
                if kafka is None:
                    raise LoadTestError("stop-kafka: the Kafka of --kafka is not stopped")
                return kafka.stop, kafka.start
            case "freeze-postgres":
                if self._postgres is None:
                    raise LoadTestError("freeze-postgres: the one of --database is not frozen")
                return _freezing(self._postgres.process.pid)
            case "cut-all":
                raise AssertionError("cut-all is carried out by the clients")


class GivenSite(Site):
    """A system that runs already.

    Raises:
        LoadTestError: the key file cannot be read.
    """

    def __init__(self, core_url: str, keys: Path) -> None:
        self.core_url = core_url.rstrip("/")
        self.events_url = None
        self.keys = _read_keys(keys)

    def pids(self) -> Mapping[str, int]:
        """The ids of Yabam's processes on this machine, found by their command lines."""
        found = {}
        for process in psutil.process_iter(["pid", "cmdline"]):
            words = process.info["cmdline"] or []
            for part in ("core", "relay", "ingest", "events"):
                if part in words[-1:] and any("yabam" in w or "client_sdk" in w for w in words):
                    found[part] = process.info["pid"]
        return found

    def breaks(self, fault: FaultName) -> tuple[Callable[[], None], Callable[[], None]]:
        """Never called: the plan allows no such fault in a system that the test did not start."""
        raise AssertionError(f"a plan with --core has no {fault}")


@contextlib.contextmanager
def own_site(plan: LoadPlan, say: Callable[[str], None]) -> Iterator[Site]:
    """Start a system, and stop it at the end; its logs are kept in the folder `plan.out`/load-test.

    Raises:
        YabamError: a part of it does not start.
    """
    folder = plan.out / "load-test"
    with contextlib.ExitStack() as cleanup:
        scratch = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="yabam-load-")))
        postgres = kafka = None
        if plan.database is None:
            say("Starting PostgreSQL")
            postgres = EmbeddedPostgres(scratch / "postgres")
            cleanup.callback(postgres.stop)
            postgres.start()
        if plan.kafka is None:
            libs = ensure_libs(Path("build/kafka"), say)
            say("Starting Apache Kafka")
            kafka = KafkaServer(scratch / "kafka", libs, heap_mb=_KAFKA_HEAP_MB)
            cleanup.callback(kafka.stop)
            kafka.start()
        database = plan.database or (postgres.url if postgres else "")
        bootstrap = plan.kafka or (kafka.bootstrap if kafka else "")
        settings = _settings(plan)
        stack = Stack(
            Addresses(database, bootstrap, ports=free_ports()),
            load_keys(folder / "keys.json"),
            folder,
            settings,
            event_workers=_event_workers(plan),
        )
        say("Starting Core, relay, ingest and event server")
        stack.migrate()
        cleanup.callback(stack.stop)
        stack.start()
        yield OwnSite(stack, postgres, kafka, (bootstrap, settings["YABAM_EVENTS_TOPIC"]))


def _streams(plan: LoadPlan) -> int:
    """The most streams at once. There can be more than clients: after a cut, a client may open a
    new stream before the server notices the end of the old one."""
    return plan.clients + plan.clients // 10


def _event_workers(plan: LoadPlan) -> int:
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    return workers_for(_streams(plan), files)


def _settings(plan: LoadPlan) -> dict[str, str]:
    least, most = plan.lifetime_s
    return {
        "YABAM_EVENTS_LIFETIME_MIN_S": f"{least:g}",
        "YABAM_EVENTS_LIFETIME_MAX_S": f"{most:g}",
        "YABAM_EVENTS_MAX_STREAMS": str(max(20_000, _streams(plan))),
        # Several load tests may use the same Kafka, but each needs its own topic.
        "YABAM_EVENTS_TOPIC": f"load-{secrets.token_hex(4)}",
    }


def _read_keys(path: Path) -> Keys:
    try:
        stored = json.loads(path.read_text())
        return Keys(stored["token"], stored.get("ticket", ""))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LoadTestError(
            f"--keys {path} cannot be read: it is JSON with the secret of the token key "
            f'"local", as `make run` writes it: {{"token": "…"}} ({error})'
        ) from error


def _killing(process: Process) -> tuple[Callable[[], None], Callable[[], None]]:
    def kill() -> None:
        workers = psutil.Process(process.pid).children()
        process.kill()
        for worker in workers:
            with contextlib.suppress(psutil.NoSuchProcess):
                worker.kill()

    def again() -> None:
        process.start()
        process.wait_ready(_READY_WITHIN_S)

    return kill, again


def _freezing(pid: int) -> tuple[Callable[[], None], Callable[[], None]]:
    """Freeze a database with all its worker processes."""

    def family() -> list[psutil.Process]:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]

    frozen: list[psutil.Process] = []

    def begin() -> None:
        frozen.extend(family())
        for process in frozen:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.suspend()

    def end() -> None:
        for process in frozen:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()

    return begin, end


def address_of(url: str) -> tuple[str, int]:
    """Host and port of an http URL."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or 80
