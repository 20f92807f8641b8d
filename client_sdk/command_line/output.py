"""The output of commands: results to stdout, as text or JSON, and progress to stderr."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from typing import Any

import msgspec


def say(options: Namespace, text: str, value: Any) -> None:
    """Print a result.

    Args:
        options: the command's options; `--json` selects the form.
        text: the result for a person, in one or more lines.
        value: the result for a program; printed as one line of JSON.
    """
    if options.json:
        print(json_line(value), flush=True)
    else:
        print(one_by_one(text), flush=True)


def tell(text: str) -> None:
    """Print progress to stderr, for persons only."""
    print(printable(text), file=sys.stderr, flush=True)


def printable(text: str) -> str:
    """Text from outside as one line for a terminal, without control characters."""
    return "".join(c if c.isprintable() else " " for c in text)


def one_by_one(text: str) -> str:
    """Text from outside, each of its lines made printable."""
    return "\n".join(map(printable, text.split("\n")))


def json_line(value: Any) -> str:
    """The value as JSON on one line; nothing in it moves a terminal's cursor."""
    text = str(msgspec.json.encode(value), "utf-8")
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)
