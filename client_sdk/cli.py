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
from client_sdk.machine.status import Status

_GROUP: Final = "yabam.commands"
_COMMANDS_OF: Final = {
    "client": ("tail", "order", "replay", "state"),
    "core": ("core", "relay", "ingest", "db", "token", "state migrate"),
    "events": ("events",),
}
"""Two words: an action that a part adds to the command of a part before it, by name."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 when it is done, 1 when it failed, 2 when it was asked for wrongly."""
    wanted = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(
        prog="yabam", description="Every order at once to the owner and the table, and none lost."
    )
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    missing = _register(subparsers, wanted)
    asked = next((name for name in _names(wanted) if name in missing), None)
    if asked is not None:
        print(
            f"yabam {asked} needs a package that is not installed ({missing[asked]}): "
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


def lamp_of(status: Status) -> str:
    """How events come now, as a line for a terminal."""
    if status.mode in ("offline", "polling"):
        return f"{status.mode} ({printable(status.last_error or '')})"
    if status.via == "websocket":
        return f"{status.mode} (by WebSocket)"
    return status.mode


def printable(text: str) -> str:
    """Foreign text as one line for a terminal: nothing in it moves the cursor."""
    return "".join(c if c.isprintable() else " " for c in text)


def _register(subparsers: Any, wanted: Sequence[str]) -> dict[str, str]:
    """Add the commands of every part; those that are missing, with the package that is."""
    missing: dict[str, str] = {}
    for part in sorted(entry_points(group=_GROUP), key=lambda entry: entry.name):
        commands = _COMMANDS_OF.get(part.name, ())
        if not _is_wanted(commands, wanted):
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


def _is_wanted(commands: Sequence[str], wanted: Sequence[str]) -> bool:
    """Whether the part brings what is asked for, or a list is asked for that it stands in."""
    known = {command for of_part in _COMMANDS_OF.values() for command in of_part}
    if not wanted or wanted[0] not in known or any(n in commands for n in _names(wanted)):
        return True
    is_list = len(wanted) == 1 or wanted[1].startswith("-")
    return is_list and any(command.startswith(f"{wanted[0]} ") for command in commands)


def _names(wanted: Sequence[str]) -> Sequence[str]:
    """How the table may name what is asked for."""
    return [" ".join(wanted[:count]) for count in (1, 2) if len(wanted) >= count]


if __name__ == "__main__":
    sys.exit(main())
