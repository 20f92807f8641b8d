"""Our processes on one machine: how each is started, and with which settings.

`python -m deploy.local` starts them for a person. Tests start the same processes on free ports, and
kill some of them.
"""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Final, Literal

from deploy.processes.ports import free_port
from deploy.processes.process import Process, ProcessError, Starter, execute

StackProcess = Literal["core", "relay", "ingest", "events"]

_CORE: Final = {"PYTHONMALLOC": "malloc"}
"""Core's environment in every installation; `core_api/heap_trim.py` says why."""


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports of the processes; tests use `free_ports`."""

    core: int = 8000
    events: int = 8001
    relay: int = 8002
    ingest: int = 8003


@dataclass(frozen=True, slots=True)
class Keys:
    """The secrets of one installation."""

    token: str
    ticket: str
    devices: str = ""
    """Devices' passwords are derived from it; empty: no device can be registered."""
    webhooks: str = ""
    """Webhooks' secrets are derived from it; empty: no webhook can be registered."""
    push: str = ""
    """Identifies the installation to push services; empty: no phone gets Web Push."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """What the processes connect to, and where they listen."""

    database: str
    kafka: str
    host: str = "127.0.0.1"
    ports: Ports = field(default_factory=Ports)


def free_ports() -> Ports:
    """Ports that are free now, and reserved for this process."""
    return Ports(free_port(), free_port(), free_port(), free_port())


_KEYS: Final = tuple(one.name for one in fields(Keys))


def load_keys(path: Path) -> Keys:
    """The keys in the file; missing keys are created and stored, so that tokens stay valid."""
    stored: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    missing = set(_KEYS) - stored.keys()
    if missing:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        stored |= {name: secrets.token_urlsafe(32) for name in sorted(missing)}
        path.write_text(json.dumps(stored))
    return Keys(*(stored[name] for name in _KEYS))


class Stack:
    """Core, relay, ingest and event server.

    Args:
        addresses: what they connect to, and where they listen.
        keys: their secrets.
        folder: their logs are written to `folder/log`.
        extra: more settings (`YABAM_…`) for all of them.
        own: settings of one process, by its name (`core`, `relay-2`); they override all others.
        starter: starts their processes.
        event_workers: the number of the event server's worker processes.
    """

    def __init__(
        self,
        addresses: Addresses,
        keys: Keys,
        folder: Path,
        extra: Mapping[str, str] | None = None,
        own: Mapping[str, Mapping[str, str]] | None = None,
        starter: Starter = execute,
        event_workers: int = 1,
    ) -> None:
        self.addresses = addresses
        self.environment = _environment(addresses, keys) | dict(extra or {})
        self.folder = folder
        self._own = own or {}
        self._starter = starter
        self._more: list[Process] = []
        ports = addresses.ports
        self.core = self._process("core", ["core"], ports.core)
        self.relay = self._process("relay", ["relay"], ports.relay)
        self.ingest = self._process("ingest", ["ingest"], ports.ingest)
        self.events = self._process("events", _events(event_workers), ports.events)

    @property
    def processes(self) -> Sequence[Process]:
        """All processes, in the order in which an event passes through them, then added ones."""
        return (self.core, self.relay, self.ingest, self.events, *self._more)

    @property
    def core_url(self) -> str:
        """Core's address."""
        return f"http://{self.addresses.host}:{self.addresses.ports.core}"

    @property
    def events_url(self) -> str:
        """The event server's address."""
        return f"http://{self.addresses.host}:{self.addresses.ports.events}"

    def migrate(self) -> None:
        """Migrate the database to the newest schema.

        Raises:
            ProcessError: the migration failed.
        """
        self.run("migrate", ["db", "upgrade"])

    def run(self, name: str, arguments: list[str]) -> None:
        """Run a `yabam` command to its end; its log file is called after `name`.

        Raises:
            ProcessError: it failed.
        """
        run_once(self._process(name, arguments, None))

    def add(self, kind: StackProcess, port: int) -> Process:
        """Add another process of a kind, with this port, to `processes`; it is not started."""
        names = [process.name.partition("-")[0] for process in self.processes]
        name = f"{kind}-{names.count(kind) + 1}"
        listens = {f"YABAM_{kind.upper()}_PORT": str(port)}
        process = self._process(name, [kind], port, listens)
        self._more.append(process)
        return process

    def add_command(
        self, name: str, arguments: list[str], port: int, settings: Mapping[str, str]
    ) -> Process:
        """Add a process that not every installation has to `processes`; it is not started.

        Args:
            name: its name in messages, and the name of its log file.
            arguments: the `yabam` command that it runs.
            port: the port of its health and metrics.
            settings: more settings (`YABAM_…`), for this process alone.
        """
        process = self._process(name, arguments, port, settings)
        self._more.append(process)
        return process

    def start(self, timeout_s: float = 60.0) -> None:
        """Start all processes and return once all are ready.

        Raises:
            ProcessError: one of them ended, or was not ready in time.
        """
        for process in self.processes:
            process.start()
        for process in self.processes:
            try:
                process.wait_ready(timeout_s)
            except ProcessError as error:
                raise ProcessError(f"{error}\n{self._how_others_are(process)}") from None

    def _how_others_are(self, late: Process) -> str:
        """The state and log of all other processes: often one waits for another."""
        return "\n".join(
            f"{one.name} {'runs' if one.running else f'ended ({one.exit_status})'}, its log:\n"
            f"{one.log_tail()}"
            for one in self.processes
            if one is not late
        )

    def stop(self) -> None:
        """Stop all in reverse order: the event server, which sends `bye`, stops before Core."""
        for process in reversed(self.processes):
            process.stop()

    def kill(self) -> None:
        """Kill all processes with SIGKILL, when nothing of them is needed any more."""
        for process in self.processes:
            process.kill()

    def _process(
        self,
        name: str,
        arguments: list[str],
        port: int | None,
        listens: Mapping[str, str] | None = None,
    ) -> Process:
        own = dict(self._own.get(name, {}))
        if name.startswith("core"):
            own = _CORE | own
        return Process(
            name,
            [sys.executable, "-m", "client_sdk.cli", *arguments],
            self.environment | dict(listens or {}) | own,
            self.folder / "log" / f"{name}.log",
            None if port is None else f"http://{self.addresses.host}:{port}",
            starter=self._starter,
        )


def _events(workers: int) -> list[str]:
    return ["events"] if workers == 1 else ["events", "--workers", str(workers)]


def run_once(process: Process) -> None:
    """Run a process to its end.

    Raises:
        ProcessError: it failed.
    """
    process.start()
    process.finish()


def _environment(addresses: Addresses, keys: Keys) -> dict[str, str]:
    ports = addresses.ports
    watched = (ports.events, ports.relay, ports.ingest)
    return {
        "YABAM_DATABASE_URL": addresses.database,
        "YABAM_KAFKA": addresses.kafka,
        "YABAM_TOKEN_KEYS": json.dumps({"local": keys.token}),
        "YABAM_TOKEN_KID": "local",
        "YABAM_TICKET_KEYS": json.dumps({"local": keys.ticket}),
        "YABAM_TICKET_KID": "local",
        "YABAM_DEVICES_KEYS": json.dumps({"local": keys.devices} if keys.devices else {}),
        "YABAM_WEBHOOKS_KEYS": json.dumps({"local": keys.webhooks} if keys.webhooks else {}),
        "YABAM_PUSH_KEY": keys.push,
        "YABAM_PUSH_CONTACT": "https://yabam.example",
        "YABAM_CORE_HOST": addresses.host,
        "YABAM_CORE_PORT": str(ports.core),
        "YABAM_EVENTS_HOST": addresses.host,
        "YABAM_EVENTS_PORT": str(ports.events),
        "YABAM_RELAY_PORT": str(ports.relay),
        "YABAM_INGEST_PORT": str(ports.ingest),
        "YABAM_OPS_NODES": json.dumps([f"http://{addresses.host}:{port}" for port in watched]),
        "YABAM_STREAM_URL": f"http://{addresses.host}:{ports.events}/v1/stream",
    }
