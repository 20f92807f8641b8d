"""The command line: `yabam …`. Each installed part brings its own commands.

Commands are found through the entry points of the group `yabam.commands`, so the SDK never imports
a server; a part whose packages are not installed says so when one of its commands runs.
"""

from __future__ import annotations

import argparse
import gc
import io
import os
import pkgutil
import sys
from collections.abc import Callable, Coroutine, Sequence
from importlib.metadata import entry_points, version
from typing import Any, Final

from client_sdk.command_line.output import json_line, one_by_one
from client_sdk.command_line.parser import Commands, Parser
from client_sdk.contract.errors import ContractError, UsageError, YabamError

_GROUP: Final = "yabam.commands"
_PROJECT: Final = "yabam-events"
_OURS: Final = frozenset({"client_sdk", "core_api", "event_server", "server_common"})


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0: done, also if the reader of a pipe has closed it; 1: it failed; 2: the arguments are
        wrong; 130: interrupted by Ctrl-C.
    """
    try:
        return _main(arguments)
    except BrokenPipeError:
        _forget_output()
        return 0
    except KeyboardInterrupt:
        return 130


def all_commands() -> Parser:
    """The parser of `yabam` with the commands of all parts."""
    parser = Parser(
        prog="yabam",
        description="Deliver every order at once to the owner and the table, without losing any.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = Commands(parser, "COMMAND")
    for part in sorted(entry_points(group=_GROUP), key=lambda entry: entry.name):
        register: Callable[[Commands], None] = part.load()
        register(commands)
    completion = commands.process(
        "completion", "print the script that completes commands", "client_sdk.completion:script"
    )
    completion.add_argument("shell", choices=("bash", "zsh", "tcsh"))
    return parser


class _Version(argparse.Action):
    """Reads the version only on request, as it takes reading a file."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        print(f"{parser.prog} {version(_PROJECT)}")
        parser.exit()


def _main(arguments: Sequence[str] | None) -> int:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # for a terminal without some characters
    try:
        options = all_commands().parse_args(arguments)
    except SystemExit as ended:
        sys.stdout.flush()
        return int(ended.code or 0)
    try:
        status = _run(options)
    except YabamError as error:
        _tell(options, str(error))
        status = 2 if isinstance(error, UsageError | ContractError) else 1
    sys.stdout.flush()
    return status


def _run(options: argparse.Namespace) -> int:
    try:
        run = _loaded(options.run)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] in _OURS:
            raise
        raise UsageError(
            f"{options.command} needs a package that is not installed ({error.name}): "
            f"pip install '{_PROJECT}[server]'"
        ) from error
    done = run(options)
    if isinstance(done, Coroutine):
        import asyncio  # imported here only: it takes a tenth of a second, which --help should not

        done = asyncio.run(done)
    return int(done or 0)


def _loaded(name: str) -> Callable[[argparse.Namespace], Any]:
    """Import the object that an entry point names."""
    # Modules are not garbage; collecting takes a tenth of the time of loading a server.
    gc.disable()
    try:
        loaded: Callable[[argparse.Namespace], Any] = pkgutil.resolve_name(name)
    finally:
        gc.enable()
    return loaded


def _tell(options: argparse.Namespace, message: str) -> None:
    """Print an error in the format of the command's results."""
    as_json = getattr(options, "json", False)
    told = json_line({"error": message}) if as_json else one_by_one(f"yabam: {message}")
    print(told, file=sys.stderr)


def _forget_output() -> None:
    """Discard output that nobody reads, so that the interpreter's flush at exit does not fail."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            os.dup2(nowhere, stream.fileno())


if __name__ == "__main__":
    sys.exit(main())
