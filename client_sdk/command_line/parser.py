"""The parser of commands. A command names the function that runs it as text.

So `yabam --help` and a mistyped command load neither an HTTP client nor a database's driver: what a
command needs is loaded when it runs.
"""

from __future__ import annotations

import argparse
import difflib
import sys
from typing import Any, Final, NoReturn

_ALIKE: Final = 0.6


class Parser(argparse.ArgumentParser):
    """A parser whose errors suggest similar words and show the usage."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands: list[str] = []
        self._given: list[str] = []

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse as argparse does; unknown arguments are an error with this command's usage."""
        self._given = list(sys.argv[1:] if args is None else args)
        found, left = super().parse_known_args(args, namespace)
        if left:
            self.error(f"unrecognized arguments: {' '.join(left)}")
        return found, left

    def error(self, message: str) -> NoReturn:
        """Print the error, the usage and a suggestion; exit with status 2."""
        meant = self._meant()
        hint = f"did you mean {meant}? " if meant else ""
        self.print_usage(sys.stderr)
        self.exit(2, f"{self.prog}: {message}\n{hint}`{self.prog} --help` tells more\n")

    def _meant(self) -> str | None:
        """A known word similar to the first unknown one; None: there is none."""
        options = [name for name in self._option_string_actions if name.startswith("--")]
        for word in self._given:
            if word.startswith("--") and len(word) > 2:
                name, known = word.partition("=")[0], options
                if any(option.startswith(name) for option in options):
                    continue
            elif self.commands and not word.startswith("-"):
                name, known = word, self.commands
                if name in known:
                    return None
            else:
                continue
            return next(iter(difflib.get_close_matches(name, known, 1, _ALIKE)), None)
        return None


class Commands:
    """The commands below a parser.

    Args:
        parser: the parser of the command that they belong to.
        metavar: their name in the help.
        required: whether one of them must be given.
    """

    def __init__(self, parser: Parser, metavar: str = "ACTION", *, required: bool = True) -> None:
        self._names = parser.commands
        self._parsers = parser.add_subparsers(metavar=metavar, required=required)
        self._groups: dict[str, Commands] = {}

    def add(self, name: str, told: str, run: str) -> Parser:
        """Add a command that prints results; it takes `--json`.

        Args:
            name: the command's name.
            told: what it does, in a few words that begin with a verb.
            run: `package.module:function`. It is called with the parsed options, may be async, and
                may return an exit status.

        Returns:
            its parser, for its own arguments.
        """
        parser = self.process(name, told, run)
        parser.add_argument(
            "--json", action="store_true", help="print each result as one line of JSON"
        )
        return parser

    def process(self, name: str, told: str, run: str) -> Parser:
        """Add a command that runs until it is told to stop.

        Args:
            name: the command's name.
            told: what it does, in a few words that begin with a verb.
            run: `package.module:function`, as for `add`.

        Returns:
            its parser, for its own arguments.
        """
        parser = self._parser(name, told)
        parser.set_defaults(run=run, command=parser.prog)
        return parser

    def group(self, name: str, told: str) -> Commands:
        """The commands below `name`; created by the first call."""
        if name not in self._groups:
            self._groups[name] = Commands(self._parser(name, told))
        return self._groups[name]

    def _parser(self, name: str, told: str) -> Parser:
        self._names.append(name)
        parser: Parser = self._parsers.add_parser(name, help=told, description=told)
        return parser
