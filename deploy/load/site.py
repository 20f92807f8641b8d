"""What is loaded: a system of the test's own, which it may break, or one that runs already."""

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
    """For health probes; None: not known."""
    keys: Keys
    log: tuple[str, str] | None = None
    """The address of Kafka and the topic of events; None: not known."""

    @abstractmethod
    def pids(self) -> Mapping[str, int]:
        """Its processes, by name, as they are now."""

    @abstractmethod
    def breaks(self, fault: FaultName) -> tuple[Callable[[], None], Callable[[], None]]:
        """How to begin a fault and how to end it; both may block."""


class OwnSite(Site):
    """Postgres, Apache Kafka, Core, relay, ingest and event server, started for this test."""

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
        """Ours, and those of the Postgres and Kafka that we started."""
        found = {process.name: process.pid for process in self._stack.processes}
        if self._postgres is not None:
            found["postgres"] = self._postgres.process.pid
        if self._kafka is not None:
            found["kafka"] = self._kafka.process.pid
        return found

    def breaks(self, fault: FaultName) -> tuple[Callable[[], None], Callable[[], None]]:
        """Kill and start again, stop and start, or freeze and wake.

        Raises:
            LoadTestError: what is to break is not ours.
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
                    raise LoadTestError("stop-kafka: the Kafka of --kafka is not ours to stop")
                return kafka.stop, kafka.start
            case "freeze-postgres":
                if self._postgres is None:
                    raise LoadTestError("freeze-postgres: that of --database is not ours")
                return _freezing(self._postgres.process.pid)
            case "cut-all":
                raise AssertionError("the clients do that themselves")


class GivenSite(Site):
    """A system that runs already.

    Raises:
        LoadTestError: the file of the keys cannot be read.
    """

    def __init__(self, core_url: str, keys: Path) -> None:
        self.core_url = core_url.rstrip("/")
        self.events_url = None
        self.keys = _read_keys(keys)

    def pids(self) -> Mapping[str, int]:
        """Our processes on this machine, as their command lines tell."""
        found = {}
        for process in psutil.process_iter(["pid", "cmdline"]):
            words = process.info["cmdline"] or []
            for part in ("core", "relay", "ingest", "events"):
                if part in words[-1:] and any("yabam" in w or "client_sdk" in w for w in words):
                    found[part] = process.info["pid"]
        return found

    def breaks(self, fault: FaultName) -> tuple[Callable[[], None], Callable[[], None]]:
        """Never."""
        raise AssertionError(f"a plan with --core has no {fault}")


@contextlib.contextmanager
def own_site(plan: LoadPlan, say: Callable[[str], None]) -> Iterator[Site]:
    """Start a system, and stop it at the end; its logs stay in `out/load-test`.

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
    """How many streams there may be: after a cut, a new one may come before the old one is seen to
    be gone."""
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
        # Runs share a Kafka that is given; its topics must not.
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
    """A database's workers are processes of their own: all of them stand still."""

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
