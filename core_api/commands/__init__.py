"""Core's commands: `yabam core`, `relay`, `ingest`, `mqtt-admin`, `webhooks`, `db`, `token`,
`kafka permit` and `state migrate`.

They are only declared here: a command's module is loaded when the command runs.
"""

from __future__ import annotations

from client_sdk.command_line.parser import Commands

_DATABASE = "core_api.commands.database"


def register(commands: Commands) -> None:
    """Add Core's commands."""
    commands.process("core", "serve orders and Fetch Sync", "core_api.processes.core:core")
    _add_relay(commands)
    commands.process("ingest", "take commands from Kafka", "core_api.processes.ingest:ingest")
    commands.process(
        "mqtt-admin",
        "keep the MQTT broker's users and rights up to date",
        "core_api.processes.broker_admin:broker_admin",
    )
    commands.process(
        "webhooks",
        "send orders to the URLs that subscribe to them",
        "core_api.processes.webhooks:webhooks",
    )
    _add_db(commands.group("db", "migrate the database, start a new epoch"))
    _add_kafka(commands.group("kafka", "give accounts their rights at Kafka"))
    commands.group("state", "show and change shared documents").add(
        "migrate",
        "migrate values of older schema versions to the newest",
        f"{_DATABASE}:migrate_documents",
    )
    _add_token(commands)


def _add_relay(commands: Commands) -> None:
    relay = commands.process(
        "relay", "publish what Core committed to Kafka", "core_api.processes.relay:relay"
    )
    set_aside = Commands(relay, required=False).group(
        "set-aside", "show and retry events that Kafka will never take"
    )
    set_aside.add("list", "show them, the oldest first", f"{_DATABASE}:list_set_aside")
    again = set_aside.add("retry", "try to publish them again", f"{_DATABASE}:retry_set_aside")
    again.add_argument("id", type=int, nargs="+", help="as `list` shows it")


def _add_db(actions: Commands) -> None:
    upgrade = actions.add("upgrade", "migrate forward", f"{_DATABASE}:upgrade")
    upgrade.add_argument("revision", nargs="?", default="head")
    downgrade = actions.add("downgrade", "migrate back", f"{_DATABASE}:downgrade")
    downgrade.add_argument("revision")
    actions.add("new-epoch", "after a restore: make every client resync", f"{_DATABASE}:new_epoch")
    check = actions.add(
        "restore-check",
        "after a restore: check whether the database went back in time",
        f"{_DATABASE}:restore_check",
    )
    check.add_argument("--look", action="store_true", help="only say so; start no new epoch")


def _add_kafka(actions: Commands) -> None:
    permit = actions.add(
        "permit",
        "give accounts the rights that processes need at a Kafka with access rules",
        "core_api.commands.kafka_rights:permit_accounts",
    )
    for kind, who in {
        "relay": "the relays, who alone may write the log",
        "events": "the event servers",
        "ingest": "ingest",
        "gateway": "the gateways to MQTT",
        "producer": "a producer",
    }.items():
        permit.add_argument(
            f"--{kind}",
            metavar="ACCOUNT",
            action="append",
            default=[],
            help=f"the account of {who}",
        )
    permit.epilog = "Nothing is taken away. The settings name an account that may alter rights."


def _add_token(commands: Commands) -> None:
    token = commands.add("token", "make an access token", "core_api.commands.tokens:token")
    who = token.add_mutually_exclusive_group()
    who.add_argument("--owner", metavar="STORE", action="append", help="an owner of this store")
    who.add_argument("--producer", metavar="STORE", action="append", help="a producer for it")
    who.add_argument("--table", metavar="STORE/TABLE", help="the guest's device at this table")
    who.add_argument("--device", metavar="STORE/DEVICE", help="a printer, a bell, a lamp")
    who.add_argument("--ops", action="store_true", help="who runs the system: reads all")
    token.add_argument(
        "--brand", help="the brand that it belongs to; alone: who keeps the brand's menu"
    )
    token.add_argument("--subject", help="whom the token names (default: made from the role)")
    token.add_argument(
        "--lifetime", help="such as 15m, 12h or 30d (default 30d; of a table 6h, one visit)"
    )
    signed_out = Commands(token, required=False)
    revoke = signed_out.add(
        "revoke", "revoke a token, a session or a subject's tokens",
        "core_api.commands.revocations:revoke_named",
    )  # fmt: skip
    what = revoke.add_mutually_exclusive_group(required=True)
    what.add_argument("token", nargs="?", help="the token itself")
    what.add_argument("--id", metavar="JTI", help="the token's claim jti")
    what.add_argument("--session", metavar="SID", help="all with this claim sid")
    what.add_argument("--subject", help="all that this subject was given until now")
    revoke.add_argument(
        "--lifetime",
        help="how long such a token lives at most, such as 30d: then it is forgotten (default: "
        "never; of a token, when it expires)",
    )
    signed_out.add(
        "revoked", "show what was revoked, the newest first",
        "core_api.commands.revocations:list_revoked",
    )  # fmt: skip
    token.epilog = "For --owner and --producer, '*' stands for every store."
