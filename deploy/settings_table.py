"""Writes `docs/settings.md` from the settings classes: `python -m deploy.settings_table`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from core_api.settings import CoreSettings, IngestSettings, RelaySettings, RestoreSettings
from event_server.settings import EventSettings

TARGET: Final = Path("docs/settings.md")
PROCESSES: Final[dict[str, type[BaseSettings]]] = {
    "yabam core": CoreSettings,
    "yabam relay": RelaySettings,
    "yabam ingest": IngestSettings,
    "yabam events": EventSettings,
    "yabam db restore-check": RestoreSettings,
}
_HEAD: Final = """\
# Settings

Made by `make docs` from the settings classes; do not edit it by hand. Every setting is an
environment variable. A value that is missing or wrong stops the start with its name, its value and
the reason.
"""


def render() -> str:
    """The whole page."""
    parts = [_HEAD]
    for process, settings in PROCESSES.items():
        parts.append(f"\n## `{process}`\n\n| variable | default | meaning |\n| --- | --- | --- |\n")
        parts += [_row(name, field) for name, field in settings.model_fields.items()]
    return "".join(parts)


def _row(name: str, field: FieldInfo) -> str:
    default = "**needed**" if field.is_required() else _shown(field.default)
    return f"| `YABAM_{name.upper()}` | {default} | {field.description} |\n"


def _shown(value: object) -> str:
    return "not set" if value in (None, "") else "`{}`".format(str(value).replace("'", '"'))


if __name__ == "__main__":
    TARGET.write_text(render())
    print(f"wrote {TARGET}", file=sys.stderr)
