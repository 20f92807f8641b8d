"""The SDK's commands: `yabam tail`, `order`, `state`, `party`, `device`, `webhook`, `push`,
`printer` and `replay`.

Only declared here: their code is loaded when they run.
"""

from __future__ import annotations

import os
from argparse import ArgumentTypeError
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from client_sdk.command_line.parser import Commands, Parser

_DEFAULT_CORE: Final = "http://127.0.0.1:8000"
_DEFAULT_WAIT_S: Final = 10.0


def register(commands: Commands) -> None:
    """Add the SDK's commands."""
    _add_tail(commands)
    _add_orders(commands.group("order", "place orders, step them, look at them"))
    _add_state(commands.group("state", "show and change shared documents"))
    _add_parties(commands.group("party", "the guests at a table come and go"))
    _add_devices(commands.group("device", "register devices, and command them"))
    _add_webhooks(commands.group("webhook", "send what happens in stores to a URL"))
    _add_pushes(commands.group("push", "which devices are told of orders while they are locked"))
    _add_printer(commands)
    _add_replay(commands)


def add_connection(parser: Parser) -> None:
    """Add the options for Core's address and the access token."""
    core = os.environ.get("YABAM_CORE_URL", _DEFAULT_CORE)
    parser.add_argument(
        "--core",
        type=core_url,
        default=core,
        metavar="URL",
        help=f"Core's address (default {core})",
    )
    parser.add_argument("--token", help="an access token (default: the variable YABAM_TOKEN)")


def core_url(text: str) -> str:
    """The address of Core.

    Raises:
        ArgumentTypeError: the text is not one.
    """
    try:
        url = urlsplit(text)
        is_one = bool(url.hostname) and url.port != 0
    except ValueError:
        is_one = False
    clean = text.isprintable() and not set(text) & set(" ?#@")
    if not (is_one and clean and url.scheme in ("http", "https")):
        raise ArgumentTypeError(
            f"{text!r} is not an address of Core: write http://host:port (or set YABAM_CORE_URL)"
        )
    return text


def _add_tail(commands: Commands) -> None:
    tail = commands.add("tail", "follow stores and tables", "client_sdk.commands.tail:tail")
    add_connection(tail)
    _add_channels(tail)
    tail.add_argument("--cursor", type=Path, help="a file to keep the cursor in")


def _add_channels(parser: Parser) -> None:
    parser.add_argument("--store", action="append", default=[], metavar="STORE")
    parser.add_argument("--table", action="append", default=[], metavar="STORE/TABLE")


def _add_orders(actions: Commands) -> None:
    place = actions.add("place", "place an order", "client_sdk.commands.orders:place")
    add_connection(place)
    place.add_argument("--store", required=True)
    place.add_argument("--table")
    place.add_argument("--item", action="append", required=True, metavar="NAME:QUANTITY:PRICE")
    place.add_argument("--currency", default="KRW", help="ISO 4217 (default KRW)")
    place.add_argument("--note", default="")
    place.add_argument("--guest", help="the guest's name")
    step = actions.add("step", "take an order one step further", "client_sdk.commands.orders:step")
    add_connection(step)
    step.add_argument("id")
    step.add_argument("to", help="accepted, rejected, preparing, ready, served, paid or cancelled")
    step.add_argument("--reason")
    show = actions.add("show", "show an order", "client_sdk.commands.orders:show")
    add_connection(show)
    show.add_argument("id")
    listing = actions.add(
        "list", "list the open orders of stores and tables", "client_sdk.commands.tail:list_open"
    )
    add_connection(listing)
    _add_channels(listing)
    listing.add_argument("--status", action="append", default=[], help="only those in this one")
    _add_wait(listing)
    history = actions.add(
        "history", "tell what happened to an order", "client_sdk.commands.orders:history"
    )
    add_connection(history)
    history.add_argument("id")
    history.add_argument("--after", type=int, default=0, help="only above this version")


def _add_state(actions: Commands) -> None:
    def action(name: str, told: str, run: str) -> Parser:
        parser = actions.add(name, told, f"client_sdk.commands.state:{run}")
        add_connection(parser)
        _add_wait(parser)
        return parser

    get = action("get", "show a document, or all of a channel", "get")
    get.add_argument("channel", help="such as public:12, party:12/5, brand:kimbap or global")
    get.add_argument("key", nargs="?")
    for name, told in (("set", "make the whole value this"), ("merge", "change what is named")):
        edit = action(name, f"{told}: JSON", "edit")
        edit.add_argument("channel")
        edit.add_argument("key")
        edit.add_argument("value", help="a JSON object; for merge null takes away (RFC 7396)")
        edit.add_argument("--queue", type=Path, help="a folder where edits wait for a network")
        edit.set_defaults(operation=name)
    watch = action("watch", "show documents whenever they change", "watch")
    watch.add_argument("channel")
    watch.add_argument("key", nargs="+")
    history = action("history", "tell what happened to a document", "history")
    history.add_argument("channel")
    history.add_argument("key")
    history.add_argument("--after", type=int, default=0, help="only above this version")
    export = action("export", "write the values of channels as JSON", "export")
    export.add_argument("channel", nargs="+")
    restore = action("restore", "make documents what a file says, by edits", "restore")
    restore.add_argument("path", type=Path, help="what `export` wrote")


def _add_parties(actions: Commands) -> None:
    told = "a party has left: end its guests' tokens, clear its cart"
    leave = actions.add("leave", told, "client_sdk.commands.party:leave")
    add_connection(leave)
    _add_wait(leave)
    leave.add_argument("place", metavar="STORE/TABLE")


def _add_devices(actions: Commands) -> None:
    def action(name: str, told: str, run: str, place: str = "STORE/DEVICE") -> Parser:
        parser = actions.add(name, told, f"client_sdk.commands.devices:{run}")
        add_connection(parser)
        parser.add_argument("place", metavar=place)
        return parser

    action("list", "show the devices of a store", "list_all", "STORE")
    register = action("register", "register one; its password is shown once", "register")
    register.add_argument("--rotate", action="store_true", help="give it another password")
    register.add_argument("--table", help="the table whose bell it rings")
    register.add_argument("--media", action="append", help="a media type that it prints")
    action("remove", "end a registration", "remove")
    command = action("command", "ask one to do something, and wait for its word", "command")
    command.add_argument("name")
    command.add_argument("arguments", nargs="?", default="{}", help="a JSON object")
    command.add_argument("--id", help="by which a repeat is known (default: a new one)")
    command.add_argument(
        "--expires", type=int, default=60, help="seconds that it may take (default 60)"
    )
    command.add_argument("--no-wait", action="store_true", help="do not wait for its word")
    action("watch", "show what it says and is told, on and on", "watch")


def _add_webhooks(actions: Commands) -> None:
    def action(name: str, told: str, run: str) -> Parser:
        parser = actions.add(name, told, f"client_sdk.commands.webhooks:{run}")
        add_connection(parser)
        return parser

    def of_one(name: str, told: str, run: str) -> Parser:
        parser = action(name, told, run)
        parser.add_argument("id", help="as `add` and `list` show it")
        return parser

    add = action("add", "send it from now on; the secret is shown once", "add")
    add.add_argument("url", help="https://…")
    add.add_argument("--store", action="append", required=True, metavar="STORE")
    add.add_argument(
        "--type", action="append", default=[], help="such as order.placed (default: all)"
    )
    action("list", "show the webhooks of your stores", "list_all")
    of_one("show", "show how far each of its stores is", "show")
    rotate = of_one("rotate", "give it another secret; for a day the old ones sign, too", "rotate")
    rotate.add_argument(
        "--end-old", action="store_true", help="the old ones sign no longer: one has leaked"
    )
    replay = of_one("replay", "send again what comes behind a cursor", "replay")
    replay.add_argument("cursor", help="such as store:12@480")
    of_one("resume", "go on with what is parked, ended or disabled", "resume")
    of_one("disable", "send nothing until it is resumed; ops only", "disable")
    of_one("remove", "send nothing to it any more", "remove")


def _add_pushes(actions: Commands) -> None:
    listing = actions.add("list", "show those of a store", "client_sdk.commands.pushes:list_all")
    add_connection(listing)
    listing.add_argument("place", metavar="STORE")
    listing.add_argument(
        "--guests", action="store_true", help="guests' phones, told of what is ready"
    )
    remove = actions.add("remove", "tell one nothing any more", "client_sdk.commands.pushes:remove")
    add_connection(remove)
    remove.add_argument("place", metavar="STORE/NAME, of a guest STORE/TABLE/NAME")


def _add_printer(commands: Commands) -> None:
    printer = commands.process(
        "printer", "print a store's tickets on a printer", "client_sdk.commands.printer:run"
    )
    add_connection(printer)
    printer.add_argument("--store", required=True)
    printer.add_argument("--device", required=True, help="the printer's name in `printing`")
    printer.add_argument(
        "--to", required=True, help="socket://host:9100, file:///dev/usb/lp0 or stdout"
    )
    broker = os.environ.get("YABAM_BROKER") or None
    printer.add_argument(
        "--mqtt",
        default=broker,
        metavar="HOST[:PORT]",
        help=f"take jobs over this MQTT broker (default: the variable YABAM_BROKER, now {broker})",
    )
    printer.add_argument(
        "--mqtt-ca",
        metavar="FILE",
        help="who may have signed its certificate (default: the system's)",
    )
    printer.add_argument(
        "--mqtt-plain", action="store_true", help="speak no TLS with the broker: for tests"
    )
    printer.add_argument(
        "--sse",
        action="store_true",
        help="take jobs by server-sent events, also where a broker is set",
    )
    printer.add_argument(
        "--user", help="the device's user name; its password is in YABAM_DEVICE_PASSWORD"
    )
    printer.add_argument(
        "--journal", type=Path, help="the file that survives a crash (default: in var/printers)"
    )


def _add_wait(parser: Parser) -> None:
    parser.add_argument(
        "--wait",
        type=_seconds,
        default=_DEFAULT_WAIT_S,
        metavar="SECONDS",
        help=f"how long to wait for Core (default {_DEFAULT_WAIT_S:g})",
    )


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise ArgumentTypeError(f"{text!r} is not a number of seconds")
    return seconds


def _add_replay(commands: Commands) -> None:
    replay = commands.add(
        "replay", "replay real orders from a CSV file", "client_sdk.commands.replay:replay"
    )
    add_connection(replay)
    replay.add_argument("path", type=Path, help="a CSV file of orders, perhaps gzipped")
    replay.add_argument("--stores", type=int, default=20, help="number of stores (default 20)")
    replay.add_argument("--tables", type=int, default=10, help="tables per store (default 10)")
    replay.add_argument(
        "--speed-up", default="3600", help="how many times faster than life, or max (default 3600)"
    )
    replay.add_argument("--limit", type=int, help="only the first so many orders")
    replay.add_argument(
        "--seed", type=int, default=1, help="seed of the random choices (default 1)"
    )
    replay.add_argument("--concurrency", type=int, default=32, help="orders under way at once")
