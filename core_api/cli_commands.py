"""Core's part of the command line: `yabam core`, `relay`, `ingest`, `mqtt-admin`, `db`, `state`,
`token`."""

from __future__ import annotations

import argparse
import asyncio
import re
from collections.abc import Coroutine
from typing import TypeVar

import asyncpg
import uvloop
from sqlalchemy.exc import SQLAlchemyError

from client_sdk.contract.channel import parse_channel
from client_sdk.contract.errors import ChannelError
from client_sdk.contract.text import MAX_SUBJECT, is_subject, shown
from core_api.access.callers import EVERY_STORE, Caller, Role
from core_api.errors import CoreError
from core_api.logs import without_rows
from core_api.main import (
    migrate_state,
    run_broker_admin_process,
    run_core,
    run_ingest_process,
    run_relay_process,
    token_keys,
)
from core_api.postgres import migrate
from core_api.relay.set_aside import list_all, retry
from core_api.restore.main import begin_epoch, look_for_restore
from core_api.settings import (
    BrokerAdminSettings,
    CoreSettings,
    DatabaseSettings,
    IngestSettings,
    RelaySettings,
    RestoreSettings,
    StateSettings,
    TokenSettings,
)
from server_common.errors import SettingsError
from server_common.logs import configure
from server_common.settings_loader import load
from server_common.sockets import bind

A = TypeVar("A")

_SIGNS_SHOWN = 10
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}

Subparsers = argparse._SubParsersAction  # the type that add_subparsers gives has no public name


def register(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add Core's commands."""
    core = subparsers.add_parser("core", help="serve orders and Fetch Sync")
    core.set_defaults(run=_core)
    relay = subparsers.add_parser("relay", help="publish what Core committed to Kafka")
    relay.set_defaults(run=_relay)
    _register_set_aside(relay)
    ingest = subparsers.add_parser("ingest", help="take commands from Kafka")
    ingest.set_defaults(run=_ingest)
    admin = subparsers.add_parser("mqtt-admin", help="keep who may do what at the MQTT broker")
    admin.set_defaults(run=_broker_admin)
    _register_db(subparsers.add_parser("db", help="migrate the database, start a new epoch"))
    _register_state(_state_actions(subparsers))
    _register_token(subparsers.add_parser("token", help="make an access token"))


def _register_set_aside(relay: argparse.ArgumentParser) -> None:
    set_aside = relay.add_subparsers(metavar="ACTION").add_parser(
        "set-aside", help="events that Kafka will never take"
    )
    actions = set_aside.add_subparsers(required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="show them, the oldest first")
    listing.set_defaults(run=_list_set_aside)
    again = actions.add_parser("retry", help="try to publish them again")
    again.add_argument("id", type=int, nargs="+", help="as `list` shows it")
    again.set_defaults(run=_retry_set_aside)


def _register_db(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    upgrade = actions.add_parser("upgrade", help="migrate forward")
    upgrade.add_argument("revision", nargs="?", default="head")
    upgrade.set_defaults(run=lambda args: _migrated(migrate.upgrade(_url(), args.revision)))
    downgrade = actions.add_parser("downgrade", help="migrate back")
    downgrade.add_argument("revision")
    downgrade.set_defaults(run=lambda args: _migrated(migrate.downgrade(_url(), args.revision)))
    epoch = actions.add_parser("new-epoch", help="after a restore: make every client start anew")
    epoch.set_defaults(run=_new_epoch)
    check = actions.add_parser(
        "restore-check", help="after a restore: look whether the database went back"
    )
    check.add_argument("--look", action="store_true", help="only say so; start no new epoch")
    check.set_defaults(run=_restore_check)


def _state_actions(
    subparsers: Subparsers[argparse.ArgumentParser],
) -> Subparsers[argparse.ArgumentParser]:
    """The actions of `yabam state`, most of which the SDK has brought before."""
    known = subparsers.choices.get("state")
    if known is not None:
        return next(one for one in known._actions if isinstance(one, Subparsers))
    parser = subparsers.add_parser("state", help="shared documents: migrate their values")
    return parser.add_subparsers(required=True, metavar="ACTION")


def _register_state(actions: Subparsers[argparse.ArgumentParser]) -> None:
    migrating = actions.add_parser(
        "migrate", help="write values of older schema versions as the newest has them"
    )
    migrating.set_defaults(run=_migrate_state)


def _register_token(parser: argparse.ArgumentParser) -> None:
    who = parser.add_mutually_exclusive_group()
    who.add_argument("--owner", metavar="STORE", action="append", help="an owner of this store")
    who.add_argument("--producer", metavar="STORE", action="append", help="a producer for it")
    who.add_argument("--table", metavar="STORE/TABLE", help="the guest's device at this table")
    who.add_argument("--device", metavar="STORE/DEVICE", help="a printer, a bell, a lamp")
    who.add_argument("--ops", action="store_true", help="who runs the system: reads all")
    parser.add_argument(
        "--brand", help="the brand that it belongs to; alone: who keeps the brand's menu"
    )
    parser.add_argument("--subject", help="whom the token names (default: made from the role)")
    parser.add_argument("--lifetime", default="30d", help="such as 15m, 12h or 30d (default 30d)")
    parser.epilog = "For --owner and --producer, '*' stands for every store."
    parser.set_defaults(run=_token)


def _core(_args: argparse.Namespace) -> int:
    settings = load(CoreSettings)
    configure("core", without_rows)
    listener = bind(settings.core_host, settings.core_port, "YABAM_CORE_PORT")
    uvloop.run(run_core(settings, listener))
    return 0


def _relay(_args: argparse.Namespace) -> int:
    settings = load(RelaySettings)
    configure("relay", without_rows)
    listener = bind(settings.relay_host, settings.relay_port, "YABAM_RELAY_PORT")
    uvloop.run(run_relay_process(settings, listener))
    return 0


def _ingest(_args: argparse.Namespace) -> int:
    settings = load(IngestSettings)
    configure("ingest", without_rows)
    listener = bind(settings.ingest_host, settings.ingest_port, "YABAM_INGEST_PORT")
    uvloop.run(run_ingest_process(settings, listener))
    return 0


def _broker_admin(_args: argparse.Namespace) -> int:
    settings = load(BrokerAdminSettings)
    configure("mqtt-admin", without_rows)
    listener = bind(settings.mqtt_admin_host, settings.mqtt_admin_port, "YABAM_MQTT_ADMIN_PORT")
    uvloop.run(run_broker_admin_process(settings, listener))
    return 0


def _url() -> str:
    return load(DatabaseSettings).database_url


def _database(work: Coroutine[None, None, A]) -> A:
    try:
        return asyncio.run(work)
    except (OSError, SQLAlchemyError, asyncpg.PostgresError) as error:
        reason = str(error).partition("\n")[0]
        raise CoreError(f"the database refused or failed: {reason}") from error


def _migrated(work: Coroutine[None, None, None]) -> int:
    _database(work)
    return 0


def _new_epoch(_args: argparse.Namespace) -> int:
    print(_database(begin_epoch(load(RestoreSettings))))
    return 0


def _migrate_state(_args: argparse.Namespace) -> int:
    """0: all documents have the newest schema; 1: some could not be migrated, and are listed."""
    done = _database(migrate_state(load(StateSettings)))
    print(f"{done.documents} documents migrated")
    for line in done.failed:
        print(f"left as it is: {line}")
    return 1 if done.failed else 0


def _list_set_aside(_args: argparse.Namespace) -> int:
    for line in _database(list_all(_url())):
        print(line)
    return 0


def _retry_set_aside(args: argparse.Namespace) -> int:
    print(f"{_database(retry(_url(), args.id))} put back into the outbox")
    return 0


def _restore_check(args: argparse.Namespace) -> int:
    """Look for signs of a restore. Returns 1 if there are signs and `--look` was given, else 0."""
    settings = load(RestoreSettings)
    found = _database(look_for_restore(settings))
    for sign in found[:_SIGNS_SHOWN]:
        print(sign)
    if not found:
        compared = "its identity and what Kafka has" if settings.kafka else "its identity only"
        print(f"nothing shows that the database went back (compared: {compared})")
        return 0
    if args.look:
        print(f"{len(found)} signs that the database went back: run `yabam db new-epoch`")
        return 1
    return _new_epoch(args)


def _token(args: argparse.Namespace) -> int:
    settings = load(TokenSettings)
    keys = token_keys(settings.token_keys, settings.token_kid)
    print(keys.sign(_holder(args), _lifetime(args.lifetime)))
    return 0


def _holder(args: argparse.Namespace) -> Caller:
    caller = _named(args)
    if not is_subject(caller.subject):
        raise SettingsError(
            f"{shown(caller.subject)} cannot be a subject: use 1 to {MAX_SUBJECT} characters, none "
            "of them a control character; give one with --subject"
        )
    return caller


def _named(args: argparse.Namespace) -> Caller:
    try:
        if args.brand is not None:
            parse_channel(f"brand:{args.brand}")
        if args.table:
            table = parse_channel(f"table:{args.table}")
            return Caller(args.subject or str(table), "table", table=table, brand=args.brand)
        if args.device:
            device = parse_channel(f"device:{args.device}")
            return Caller(args.subject or str(device), "device", brand=args.brand, device=device)
        if args.ops:
            return Caller(args.subject or "ops", "ops")
        stores = args.owner or args.producer
        if not stores:
            return _keeper(args)
        for store in stores:
            if store != EVERY_STORE:
                parse_channel(f"store:{store}")
    except ChannelError as error:
        raise SettingsError(str(error)) from error
    role: Role = "owner" if args.owner else "producer"
    subject = args.subject or f"{role}-{'-'.join(stores)}"
    return Caller(subject, role, frozenset(stores), brand=args.brand)


def _keeper(args: argparse.Namespace) -> Caller:
    """Who keeps a brand's documents."""
    if args.brand is None:
        raise SettingsError(
            "say whose token it is: --owner, --producer, --table, --device, --ops or --brand"
        )
    return Caller(args.subject or f"brand-{args.brand}", "brand", brand=args.brand)


def _lifetime(text: str) -> int:
    match = re.fullmatch(r"([1-9][0-9]{0,6})([smhd])", text)
    if match is None:
        raise SettingsError(f"{text!r} is not a lifetime: write such as 15m, 12h or 30d")
    return int(match[1]) * _SECONDS[match[2]]
