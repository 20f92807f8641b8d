"""Print one ticket: check that the printer is ready, send, and wait for its confirmation."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from client_sdk.printer.connections import Address, PrinterConnection
from client_sdk.printer.errors import PrinterError
from client_sdk.printer.escpos_bytes import process_id, ticket_bytes
from client_sdk.printer.journal import PrintOutcome
from client_sdk.printer.replies import (
    DLE_EOT,
    OFFLINE_CAUSE,
    PAPER_SENSOR,
    PRINTER_STATUS,
    Replies,
    Reply,
    is_paper_there,
    troubles_of,
    warnings_of,
)
from client_sdk.printer_media.lines import Line
from client_sdk.printer_media.plain_text import text_of

ANSWER_S: Final = 2.0
"""How long a printer may take to report its status, in seconds."""
WORD_S: Final = 30.0
"""How long a ready printer may take to print a ticket, in seconds."""
LONGEST_TROUBLE_S: Final = 600.0
"""How long a ticket in the printer's memory may wait for paper or a closed cover, in seconds."""
_ASK_EVERY_S: Final = 1.0
MUTE: Final = "the printer did not confirm"

Tell = Callable[[Sequence[str]], None]


class Word(Struct, frozen=True):
    """The outcome of a ticket."""

    outcome: PrintOutcome
    detail: str = ""


class PaperTicket(Struct, frozen=True):
    """A ticket to print."""

    lines: Sequence[Line]
    columns: int
    media: str
    number: int
    """Identifies the attempt in the printer's confirmation."""


class PrinterState(Struct, frozen=True):
    """A printer's state before a ticket."""

    troubles: list[str]
    """The troubles that stop the printer; empty: it can print."""
    warnings: list[str]


async def state_of(address: Address) -> PrinterState:
    """Ask for the printer's state.

    Raises:
        PrinterError: it cannot be reached, or does not answer.
    """
    if address.is_terminal:
        return PrinterState([], [])
    connection = await address.connect()
    try:
        return await _Talk(connection).state()
    finally:
        await connection.close()


async def print_ticket(
    address: Address, ticket: PaperTicket, tell: Tell, clock: Callable[[], float] = time.monotonic
) -> Word:
    """Print a ticket, and wait for the printer's confirmation.

    Args:
        address: where the printer is.
        ticket: what is printed, and the number by which the printer confirms it.
        tell: called with the printer's troubles whenever they change.
        clock: returns monotonic seconds.
    """
    try:
        connection = await address.connect()
    except PrinterError as error:
        # Nothing was sent, but the journal already says that bytes may have been sent.
        return Word("doubt", str(error))
    try:
        if address.is_terminal:
            await connection.write(f"{text_of(ticket.lines, ticket.columns)}\n".encode())
            return Word("done", "shown")
        return await _print(connection, ticket, tell, clock)
    except PrinterError as error:
        return Word("doubt", str(error))
    finally:
        await connection.close()


async def _print(
    connection: PrinterConnection, ticket: PaperTicket, tell: Tell, clock: Callable[[], float]
) -> Word:
    process = process_id(ticket.number)
    data = await asyncio.to_thread(
        ticket_bytes, ticket.lines, ticket.columns, ticket.media, process
    )
    talk = _Talk(connection)
    await connection.write(data)
    begun, quiet_since = clock(), clock()
    troubles: list[str] = []
    while True:
        for reply in await talk.replies(_ASK_EVERY_S):
            word = _word(reply, process)
            if word is not None:
                return word
        now = clock()
        found = await talk.troubles()
        if found != troubles:
            troubles = found
            tell(troubles)
        if troubles:
            quiet_since = now
        if now - begun > LONGEST_TROUBLE_S:
            return Word("doubt", f"not printed for long: {', '.join(troubles)}")
        if now - quiet_since > WORD_S:
            return Word("doubt", MUTE)


def _word(reply: Reply, process: str) -> Word | None:
    if reply.kind == "process" and reply.process == process:
        return Word("done", "process id")
    if reply.kind == "paper":
        # All bytes before the request are processed; without paper, the ticket may be incomplete.
        if is_paper_there(reply.byte):
            return Word("done", "paper status")
        return Word("doubt", "the paper ran out during the ticket")
    return None


class _Talk:
    """Requests and answers on one connection."""

    def __init__(self, connection: PrinterConnection) -> None:
        self._connection = connection
        self._replies = Replies()
        self._left: list[Reply] = []

    async def replies(self, within_s: float) -> list[Reply]:
        """The next answers; empty: none arrived in time."""
        if self._left:
            left, self._left = self._left, []
            return left
        return self._replies.feed(await self._connection.read(within_s))

    async def state(self) -> PrinterState:
        """The printer's state; raises PrinterError if it does not answer."""
        status = await self._ask(PRINTER_STATUS)
        if status is None:
            raise PrinterError(MUTE)
        offline, paper = await self._ask(OFFLINE_CAUSE), await self._ask(PAPER_SENSOR)
        return PrinterState(troubles_of(status, offline, paper), warnings_of(paper))

    async def troubles(self) -> list[str]:
        """The troubles while it prints. Answers to earlier requests are kept."""
        answers = [await self._ask(n) for n in (PRINTER_STATUS, OFFLINE_CAUSE, PAPER_SENSOR)]
        return troubles_of(*answers)

    async def _ask(self, n: int) -> int | None:
        await self._connection.write(DLE_EOT + bytes((n,)))
        try:
            async with asyncio.timeout(ANSWER_S):
                while True:
                    replies = self._replies.feed(await self._connection.read(ANSWER_S))
                    answer = next((one for one in replies if one.kind == "status"), None)
                    self._left += [one for one in replies if one is not answer]
                    if answer is not None:
                        return answer.byte
                    if not replies:
                        return None
        except TimeoutError:
            return None
