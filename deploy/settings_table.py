"""Writes `docs/settings.md` from the settings classes: `python -m deploy.settings_table`."""

from __future__ import annotations

import ast
import inspect
import sys
from itertools import pairwise
from pathlib import Path
from typing import Final

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from core_api.settings import (
    BrokerAdminSettings,
    CoreSettings,
    IngestSettings,
    PermitSettings,
    RelaySettings,
    RestoreSettings,
    StateSettings,
    WebhooksSettings,
)
from event_server.settings import EventSettings, GatewaySettings
from server_common.environment import FromEnvironment
from server_common.limit_table.check import DEFAULTS
from server_common.limit_table.limit import Limit
from server_common.limit_table.relations import RELATIONS
from server_common.limit_table.rows import TABLE

TARGET: Final = Path("docs/settings.md")
PROCESSES: Final[dict[str, type[BaseSettings]]] = {
    "yabam core": CoreSettings,
    "yabam relay": RelaySettings,
    "yabam ingest": IngestSettings,
    "yabam events": EventSettings,
    "yabam mqtt": GatewaySettings,
    "yabam mqtt-admin": BrokerAdminSettings,
    "yabam webhooks": WebhooksSettings,
    "yabam db restore-check": RestoreSettings,
    "yabam kafka permit": PermitSettings,
    "yabam state": StateSettings,
}
_HEAD: Final = """\
# Settings

Made by `make docs` from the settings classes; do not edit it by hand. Every setting is an
environment variable. A value that is missing or wrong stops the start with its name, its value and
the reason.
"""
_LIMITS_HEAD: Final = """
## Limits

All sizes, from the request to the screen. A limit with a variable is set by it; the others are
fixed. They are checked against each other when a server starts; a contradiction stops the start.
A limit fits those in the fifth column: what it lets pass, they let pass, too. In brackets is the
least that each may be by default.

| limit | value | where | beyond it | must fit |
| --- | --- | --- | --- | --- |
"""
_UNITS: Final = {"bytes": " B", "bytes/s": " B/s", "count": ""}


def render() -> str:
    """The text of the page."""
    parts = [_HEAD]
    for process, settings in PROCESSES.items():
        parts.append(f"\n## `{process}`\n\n| variable | default | meaning |\n| --- | --- | --- |\n")
        said = meanings(settings)
        parts += [_row(name, field, said[name]) for name, field in settings.model_fields.items()]
    parts.append(_LIMITS_HEAD)
    parts += [_limit_row(limit) for limit in TABLE]
    return "".join(parts)


def meanings(settings: type[BaseSettings]) -> dict[str, str]:
    """What the text below each field says, by the field's name.

    It is read from the source, here only: pydantic can do so, too, but whenever a process starts,
    which would take a tenth of the start.
    """
    found: dict[str, str] = {}
    for part in reversed(settings.__mro__):
        if issubclass(part, FromEnvironment):
            (source,) = ast.parse(inspect.getsource(part)).body
            for field, text in pairwise(ast.iter_child_nodes(source)):
                match field, text:
                    case ast.AnnAssign(ast.Name(name)), ast.Expr(ast.Constant(str(meaning))):
                        found[name] = " ".join(meaning.split()).removesuffix(".")
    return found


def _row(name: str, field: FieldInfo, meaning: str) -> str:
    default = "**needed**" if field.is_required() else _shown(field.default)
    return f"| `YABAM_{name.upper()}` | {default} | {meaning} |\n"


def _limit_row(limit: Limit) -> str:
    name = f"{limit.name} (`{limit.shown}`)" if limit.setting else limit.name
    value = f"{limit.value:,}{_UNITS[limit.unit]}"
    return f"| {name} | {value} | {limit.where} | {limit.beyond} | {_fits(limit)} |\n"


def _fits(limit: Limit) -> str:
    behind = [one for one in RELATIONS if one.small == limit.name]
    if behind:
        return "; ".join(f"{one.large} ({one.needed(DEFAULTS):,})" for one in behind)
    return f"none: {limit.alone}" if limit.alone else "those before it"


def _shown(value: object) -> str:
    return "not set" if value in (None, "") else "`{}`".format(str(value).replace("'", '"'))


if __name__ == "__main__":
    TARGET.write_text(render())
    print(f"wrote {TARGET}", file=sys.stderr)
