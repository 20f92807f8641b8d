"""The command line: `yabam …`. Each installed part brings its own commands.

Commands are found through the entry points of the group `yabam.commands`, so the SDK never imports
a server; a part whose packages are not installed says so only when its command is asked for.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from client_sdk.contract.errors import YabamError

_GROUP: Final = "yabam.commands"
_COMMANDS_OF: Final = {
    "client": ("tail", "order", "replay", "state"),
    "core": ("core", "relay", "ingest", "db", "token"),
    "events": ("events",),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 when it is done, 1 when it failed, 2 when it was asked for wrongly."""
    wanted = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(
        prog="yabam", description="Every order at once to the owner and the table, and none lost."
    )
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    missing = _register(subparsers, wanted[0] if wanted else "")
    if wanted and wanted[0] in missing:
        print(
            f"yabam {wanted[0]} needs a package that is not installed ({missing[wanted[0]]}): "
            "pip install 'yabam-events[server]'",
            file=sys.stderr,
        )
        return 2
    options = parser.parse_args(wanted)
    try:
        return int(options.run(options))
    except YabamError as error:
        print("\n".join(map(printable, f"yabam: {error}".split("\n"))), file=sys.stderr)
        return 2 if type(error).__name__ == "SettingsError" else 1
    except KeyboardInterrupt:
        return 130


def printable(text: str) -> str:
    """Foreign text as one line for a terminal: nothing in it moves the cursor."""
    return "".join(c if c.isprintable() else " " for c in text)


def _register(subparsers: Any, wanted: str) -> dict[str, str]:
    """Add the commands of every part; those that are missing, with the package that is."""
    missing: dict[str, str] = {}
    for part in sorted(entry_points(group=_GROUP), key=lambda entry: entry.name):
        commands = _COMMANDS_OF.get(part.name, ())
        if wanted in _all_commands() and wanted not in commands:
            continue  # the other parts' packages need not be loaded for it
        try:
            register = _load(part)
        except ModuleNotFoundError as error:
            missing |= dict.fromkeys(commands, error.name or "unknown")
            continue
        register(subparsers)
    return missing


def _load(part: EntryPoint) -> Callable[[Any], None]:
    register: Callable[[Any], None] = part.load()
    return register


def _all_commands() -> set[str]:
    return {command for commands in _COMMANDS_OF.values() for command in commands}


if __name__ == "__main__":
    sys.exit(main())
