"""`make run`: start everything on this machine, print what to try, and show orders."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol

from client_sdk.contract.channel import Channel
from client_sdk.contract.errors import YabamError
from core_api.access.callers import Caller
from core_api.commands.local_keys import LOCAL_KEYS
from core_api.wiring import token_keys
from deploy.local.broker import EmbeddedBroker
from deploy.local.device_door import add_door, add_named_door, installed_mosquitto
from deploy.local.forking.starter import ForkServers
from deploy.local.kitchen import PRINTER, STORE, set_up_kitchen
from deploy.local.options import Options
from deploy.local.postgres import EmbeddedPostgres
from deploy.local.restaurant import STORES, Restaurant, show_orders
from deploy.local.schema import is_migrated
from deploy.local.stack import Addresses, Ports, Stack, load_keys
from deploy.local.webhook_sender import LOOPBACK as LOOPBACK_RECEIVERS
from deploy.local.webhook_sender import add_sender
from deploy.mqtt.server import MosquittoServer
from deploy.processes.ports import LOOPBACK
from deploy.processes.process import ProcessError

_TOKEN_LIFETIME_S: Final = 30 * 86_400
_WATCH_EVERY_S: Final = 0.5


def main() -> int:
    """Run until Ctrl-C. Returns 0 after a clean stop, or 1 after one line with the error."""
    options = Options(sys.argv[1:], os.environ)
    # SIGTERM works like Ctrl-C, so that a supervisor can also stop it cleanly.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with contextlib.ExitStack() as cleanup:
            _run(options, cleanup)
    except KeyboardInterrupt:
        print(f"\nStopped. Orders and keys are kept in {options.data}.")
    except YabamError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    return 0


def _run(options: Options, cleanup: contextlib.ExitStack) -> None:
    mosquitto = None if options.mqtt else _mosquitto(options)
    options.check_ports(gateway=bool(options.mqtt or mosquitto), broker=mosquitto is not None)
    ports = Ports(options.core_port, options.events_port, options.relay_port, options.ingest_port)
    started = time.monotonic()
    servers = ForkServers()
    cleanup.callback(servers.close)
    servers.load()  # they load modules while the database and the brokers start
    postgres = None if options.database else EmbeddedPostgres(options.data / "postgres")
    broker = None if options.kafka else EmbeddedBroker(options.data)
    _start_at_once(
        {"PostgreSQL": postgres, "Kafka broker": broker, "Mosquitto": mosquitto}, cleanup
    )
    # The embedded broker lets a fetch wait for its whole time, even if a record arrives before.
    settings = {} if broker is None else {"YABAM_EVENTS_FETCH_WAIT_MS": "10"}
    database = options.database or (postgres.url if postgres else "")
    kafka = options.kafka or (broker.bootstrap if broker else "")
    stack = Stack(
        Addresses(database, kafka, ports=ports),
        load_keys(options.data / LOCAL_KEYS.name),
        options.data,
        settings | LOOPBACK_RECEIVERS,
        starter=servers,
    )
    if not asyncio.run(is_migrated(database)):
        with _step("database schema"):
            stack.migrate()
    cleanup.callback(_quietly, stack.stop)
    add_sender(stack, options.webhooks_port)
    door = _door(options, mosquitto, stack)
    with _step(", ".join(process.name for process in stack.processes)):
        stack.start()
    print(f"Ready after {time.monotonic() - started:.1f} s.\n")
    owner = _token(stack, Caller("owner-1", "owner", frozenset({STORE})))
    star = asyncio.run(set_up_kitchen(stack.core_url, owner))
    print(_what_to_try(stack, star), flush=True)
    print(door, end="\n\n", flush=True)
    asyncio.run(_watch(stack, mosquitto, options))


class _Server(Protocol):
    def start(self) -> None: ...
    def stop(self) -> None: ...


def _start_at_once(servers: Mapping[str, _Server | None], cleanup: contextlib.ExitStack) -> None:
    """Start the servers that our processes connect to; in parallel, as most of it is waiting."""
    ours = {name: server for name, server in servers.items() if server is not None}
    if not ours:
        return
    for server in ours.values():
        cleanup.callback(_quietly, server.stop)
    with _step(", ".join(ours)), ThreadPoolExecutor(len(ours)) as starters:
        for start in [starters.submit(server.start) for server in ours.values()]:
            start.result()


def _mosquitto(options: Options) -> MosquittoServer | None:
    ports = options.broker_port, options.broker_tls_port
    return installed_mosquitto(options.data / "mqtt", *ports)


def _door(options: Options, mosquitto: MosquittoServer | None, stack: Stack) -> str:
    """Add MQTT gateway and broker admin, if there is a broker. Returns a text to print."""
    ports = options.gateway_port, options.admin_port
    if options.mqtt:
        return add_named_door(stack, options.mqtt, os.environ, *ports)
    if mosquitto is None:
        return (
            "Mosquitto is not installed, so devices cannot connect by MQTT. On Debian: apt-get "
            "install mosquitto. Or name a broker: make run MQTT=host:port"
        )
    add_door(stack, mosquitto.settings, *ports)
    return (
        f"Devices connect by MQTT to {LOOPBACK}:{mosquitto.port}, with TLS to "
        f"{mosquitto.tls_port}: docs/mqtt.md."
    )


@contextlib.contextmanager
def _step(what: str) -> Iterator[None]:
    print(f"Starting {what} … ", end="", flush=True)
    start = time.monotonic()
    yield
    print(f"{time.monotonic() - start:.1f} s", flush=True)


def _quietly(stop: object) -> None:
    """Call `stop` without interruption: a second Ctrl-C must not leave other parts running."""
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        if callable(stop):
            stop()
    finally:
        signal.signal(signal.SIGINT, handler)


def _token(stack: Stack, caller: Caller) -> str:
    keys = {"local": load_keys(stack.folder / LOCAL_KEYS.name).token}
    return token_keys(keys, "local").sign(caller, _TOKEN_LIFETIME_S)


def _what_to_try(stack: Stack, star: str) -> str:
    owner = _token(stack, Caller("owner-1", "owner", frozenset({"1"})))
    guest = _token(stack, Caller("table-1-5", "table", table=Channel("table", "1", "5")))
    ops = _token(stack, Caller("ops-1", "ops"))
    brand = _token(stack, Caller("brand-kimbap", "brand", brand="kimbap"))
    line = '{"lines": {"a7": {"name": "Bibimbap", "quantity": 2, "unit_price": 9500}}}'
    sync = f"{stack.core_url}/v1/sync?channel=store:1"
    ticket = f"""$(curl -s '{sync}' -H "Authorization: Bearer $YABAM_TOKEN" """
    ticket += """| sed -E 's/.*"ticket":"([^"]*)".*/\\1/')"""
    return f"""\
Open these two pages in a browser, side by side. The links sign you in.

The terminal of store 1's owner, where orders arrive and are handled:

  {stack.core_url}/terminal#token={owner}

Table 5 of that store, where a guest orders and sees the order's status:

  {stack.core_url}/table#token={guest}

The page for operations:

  {stack.core_url}/ops#token={ops}

Commands for another terminal, in this folder. First set the owner's token:

  export YABAM_TOKEN={owner}

Follow the store; the command reconnects whenever the connection is lost:

  .venv/bin/yabam tail --store 1 --core {stack.core_url}

Place an order:

  .venv/bin/yabam order place --store 1 --table 5 --item "Bibimbap:2:9500" --core {stack.core_url}

Watch the cart that the phones of table 5 share, in two terminals; change it from a third:

  .venv/bin/yabam state watch party:1/5 cart --core {stack.core_url}
  .venv/bin/yabam state merge party:1/5 cart '{line}' --core {stack.core_url}

Print the kitchen's tickets in another terminal:

  .venv/bin/yabam printer --store {STORE} --device {PRINTER} --to stdout --core {stack.core_url}

The same tickets as pictures, as a Star printer gets them; a real printer uses the same URL:

  .venv/bin/python -m tests.star_printer {star} {stack.folder}/tickets

Send the store's events to a program that answers at http://127.0.0.1:9000/orders:

  .venv/bin/yabam webhook add http://127.0.0.1:9000/orders --store 1 --core {stack.core_url}

The programs of docs/state.md also need these variables:

  export YABAM_CORE_URL={stack.core_url}
  export YABAM_TABLE_TOKEN={guest}
  export YABAM_BRAND_TOKEN={brand}

See the raw stream:

  curl -N "{stack.events_url}/v1/stream?ticket={ticket}"

Core {stack.core_url} (API: {stack.core_url}/openapi.json), event server {stack.events_url}.
Ctrl-C stops everything. Orders as they arrive:
"""


async def _watch(stack: Stack, mosquitto: MosquittoServer | None, options: Options) -> None:
    owner = _token(stack, Caller("owner", "owner", frozenset(STORES)))
    tasks = [asyncio.create_task(_watch_processes(stack))]
    if mosquitto is not None:
        tasks.append(asyncio.create_task(_keep_running(mosquitto)))
    tasks.append(asyncio.create_task(show_orders(stack.core_url, owner)))
    if options.restaurant:
        tasks.append(asyncio.create_task(Restaurant(stack.core_url, owner).run()))
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _keep_running(mosquitto: MosquittoServer) -> None:
    """Start Mosquitto again whenever it has ended, as Docker Compose and Kubernetes do."""
    while True:
        if (status := mosquitto.process.exit_status) is not None:
            log = mosquitto.process.log
            print(f"Mosquitto ended with status {status} and is started again: {log}", flush=True)
            await asyncio.to_thread(mosquitto.start)
        await asyncio.sleep(_WATCH_EVERY_S)


async def _watch_processes(stack: Stack) -> None:
    while True:
        for process in stack.processes:
            if process.exit_status is not None:
                raise ProcessError(
                    f"{process.name} ended with status {process.exit_status}:\n"
                    f"{process.log_tail()}\nIts whole log is {process.log}."
                )
        await asyncio.sleep(_WATCH_EVERY_S)


if __name__ == "__main__":
    sys.exit(main())
