"""The whole system as processes of this machine: how each is started and what it is told.

`python -m deploy.local` shows it to a person; the tests start the same thing on free ports, and
kill parts of it.
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
"""How Core is run wherever it runs; `core_api/heap_trim.py` says why."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the processes listen; `free_ports` for tests."""

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
    """Devices' passwords are derived with it; empty: no device can be registered."""
    webhooks: str = ""
    """Webhooks' secrets are derived with it; empty: no webhook can be registered."""
    push: str = ""
    """Push services know the installation by it; empty: no phone is told of orders."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """What the processes are connected to."""

    database: str
    kafka: str
    host: str = "127.0.0.1"
    ports: Ports = field(default_factory=Ports)


def free_ports() -> Ports:
    """Ports that nobody uses right now."""
    return Ports(free_port(), free_port(), free_port(), free_port())


_KEYS: Final = tuple(one.name for one in fields(Keys))


def load_keys(path: Path) -> Keys:
    """The keys in the file; each is made on its first run, so that tokens outlive a restart."""
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
        addresses: what they are connected to.
        keys: their secrets.
        folder: their logs go to `folder/log`.
        extra: more settings (`YABAM_…`) for all of them.
        own: settings of one process, by its name (`core`, `relay-2`); they win over all others.
        starter: makes their processes.
        event_workers: on how many processes the event server runs.
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
        """All of them, in the order of the flow."""
        return (self.core, self.relay, self.ingest, self.events, *self._more)

    @property
    def core_url(self) -> str:
        """Where Core answers."""
        return f"http://{self.addresses.host}:{self.addresses.ports.core}"

    @property
    def events_url(self) -> str:
        """Where the event server answers."""
        return f"http://{self.addresses.host}:{self.addresses.ports.events}"

    def migrate(self) -> None:
        """Bring the database to the newest schema.

        Raises:
            ProcessError: it could not be done.
        """
        self.run("migrate", ["db", "upgrade"])

    def run(self, name: str, arguments: list[str]) -> None:
        """Run a `yabam` command to its end; its log goes by `name`.

        Raises:
            ProcessError: it failed.
        """
        run_once(self._process(name, arguments, None))

    def add(self, kind: StackProcess, port: int) -> Process:
        """One more process of a kind, which listens on `port`; from now on one of `processes`."""
        names = [process.name.partition("-")[0] for process in self.processes]
        name = f"{kind}-{names.count(kind) + 1}"
        listens = {f"YABAM_{kind.upper()}_PORT": str(port)}
        process = self._process(name, [kind], port, listens)
        self._more.append(process)
        return process

    def add_command(
        self, name: str, arguments: list[str], port: int, settings: Mapping[str, str]
    ) -> Process:
        """A process that not every installation has, not started; from now on one of `processes`.

        Args:
            name: its name in messages and of its log.
            arguments: the `yabam` command that it runs.
            port: where its health and metrics are.
            settings: more settings (`YABAM_…`), for it alone.
        """
        process = self._process(name, arguments, port, settings)
        self._more.append(process)
        return process

    def start(self, timeout_s: float = 60.0) -> None:
        """Start all and return once all are ready.

        Raises:
            ProcessError: one of them died or was not ready in time.
        """
        for process in self.processes:
            process.start()
        for process in self.processes:
            try:
                process.wait_ready(timeout_s)
            except ProcessError as error:
                raise ProcessError(f"{error}\n{self._how_others_are(process)}") from None

    def _how_others_are(self, late: Process) -> str:
        """What the rest says: a process often waits for another."""
        return "\n".join(
            f"{one.name} {'runs' if one.running else f'ended ({one.exit_status})'}, and says:\n"
            f"{one.log_tail()}"
            for one in self.processes
            if one is not late
        )

    def stop(self) -> None:
        """Stop all, the event server first, so that its clients are told to come back."""
        for process in reversed(self.processes):
            process.stop()

    def kill(self) -> None:
        """SIGKILL to all: for who needs nothing of them any more."""
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
