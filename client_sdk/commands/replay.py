"""`yabam replay`: send recorded orders again."""

from __future__ import annotations

import sys
from argparse import Namespace

from client_sdk.command_line.output import say, tell
from client_sdk.commands.connection import producer_of
from client_sdk.contract.errors import UsageError
from client_sdk.replay import runner
from client_sdk.replay.plan import ReplayError, ReplaySpeed, plan, read_orders


async def replay(options: Namespace) -> None:
    """Replay a file, and print the progress.

    Raises:
        UsageError: the file cannot be replayed.
    """
    try:
        pace = ReplaySpeed.parse(options.speed_up)
    except ReplayError as error:
        raise UsageError(str(error)) from error
    async with producer_of(options) as producer:
        orders = read_orders(runner.read_lines(options.path))[: options.limit]
        planned = plan(orders, options.stores, options.tables, options.seed)
        summary = await runner.replay(planned, producer, pace, options.concurrency, _tell_progress)
    if sys.stderr.isatty():
        print(file=sys.stderr)
    say(options, str(summary), summary)


def _tell_progress(line: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{line}", end="", file=sys.stderr, flush=True)
    else:
        tell(line)
