"""`yabam completion`: a script that lets a shell complete commands and options."""

from __future__ import annotations

from argparse import Namespace

from client_sdk.cli import all_commands
from client_sdk.contract.errors import UsageError


def script(options: Namespace) -> None:
    """Print the shell's script.

    Raises:
        UsageError: the package that generates it is not installed.
    """
    try:
        import shtab
    except ModuleNotFoundError as error:
        raise UsageError(
            "completion is written by shtab, which is not installed: "
            "pip install 'yabam-events[completion]'"
        ) from error
    print(shtab.complete(all_commands(), options.shell))
