"""When a guest's token becomes invalid: the party that it was made for has left. Pure.

A party ends with each change of the document `party` in its channel. A token that was made before
that change can neither read nor write at the table. Tokens carry whole seconds, so a token of the
same second as the change counts as made after it: the next guests must not be refused.
"""

from __future__ import annotations

from typing import Final

from client_sdk.contract.channel import Channel
from core_api.access.callers import Caller
from core_api.errors import PartyLeftError

PARTY: Final = "party"
"""The key of the document in `party:{store}/{table}` whose changes end parties."""


def party_at(table: Channel) -> Channel:
    """The channel of the documents of the parties at a table."""
    return Channel("party", table.root, table.part)


def check_stay(caller: Caller, ended_at: float | None) -> None:
    """Whether the caller's party is the one that sits at the table.

    Args:
        caller: of role table.
        ended_at: when the last party there ended, in seconds since 1970; None: none has ended yet.

    Raises:
        PartyLeftError: the caller's token is of a party that has left.
    """
    if ended_at is not None and caller.issued_at < int(ended_at):
        raise PartyLeftError("this token was made for guests before: scan the code on the table")
