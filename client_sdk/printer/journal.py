"""The agent's journal: an entry is on the disk before the first byte goes to the printer.

So after any crash the agent knows whether each attempt was started, and how it ended. The journal
also contains the agent's id: one journal is one agent.
"""

from __future__ import annotations

import sqlite3
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

from msgspec import Struct

from client_sdk.printer.errors import AgentError

PrintOutcome = Literal["done", "fail", "doubt"]

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS agent (name TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS boot (number INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS attempt (
  number INTEGER PRIMARY KEY, job TEXT NOT NULL, attempt INTEGER NOT NULL, outcome TEXT,
  detail TEXT NOT NULL DEFAULT '', told INTEGER NOT NULL DEFAULT 0,
  at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP, UNIQUE (job, attempt)
);
"""
_KEPT_DAYS: Final = 8


class JournalEntry(Struct, frozen=True):
    """One attempt to print one job."""

    number: int
    """A number that no other attempt in this journal has."""
    job: str
    """The job's name under which it was started."""
    attempt: int
    outcome: PrintOutcome | None
    """None: it was started, and its end is not known."""
    detail: str


class Journal:
    """The journal of one printer's agent.

    Args:
        path: the file; its folder is created if missing.

    Raises:
        AgentError: it cannot be read, or another agent uses it.
    """

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path, timeout=1.0, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            raise AgentError(f"the journal {path} cannot be opened: {error}") from error
        try:
            # The operating system releases this lock when the process ends, even by a crash.
            self._connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._connection.execute("PRAGMA synchronous = EXTRA")
            self._connection.executescript(_SCHEMA)
            self.agent: Final = self._named()
            self._connection.execute(
                "DELETE FROM attempt WHERE told AND at < datetime('now', ?)",
                (f"-{_KEPT_DAYS} days",),
            )
        except sqlite3.Error as error:
            self._connection.close()
            raise AgentError(
                f"the journal {path} is damaged, or another agent uses it: {error}"
            ) from error

    def find(self, job: str, attempt: int) -> JournalEntry | None:
        """The attempt's entry; None: it was not started here."""
        rows = self._entries("job = ? AND attempt = ?", (job, attempt))
        return rows[0] if rows else None

    def begin(self, job: str, attempt: int) -> JournalEntry:
        """Record, safe against any crash, that bytes may reach the printer from now on."""
        self._connection.execute("INSERT INTO attempt (job, attempt) VALUES (?, ?)", (job, attempt))
        entry = self.find(job, attempt)
        assert entry is not None  # noqa: S101 - it was just written
        return entry

    def end(self, entry: JournalEntry, outcome: PrintOutcome, detail: str) -> None:
        """Record how the attempt ended.

        Args:
            entry: the attempt, as `begin` has returned it.
            outcome: `done`: printed; `fail`: not printed; `doubt`: it is not known which.
            detail: the reason, for a person.

        Raises:
            sqlite3.Error: it cannot be written.
        """
        self._connection.execute(
            "UPDATE attempt SET outcome = ?, detail = ? WHERE number = ?",
            (outcome, detail, entry.number),
        )

    def end_what_was_left(self) -> None:
        """Mark all attempts that were started and not ended as doubtful."""
        self._connection.execute(
            "UPDATE attempt SET outcome = 'doubt', detail = 'the agent stopped in the middle' "
            "WHERE outcome IS NULL"
        )

    def untold(self) -> Sequence[JournalEntry]:
        """The ended attempts that were not reported to Core, in order."""
        return self._entries("outcome IS NOT NULL AND NOT told", ())

    def told(self, entry: JournalEntry) -> None:
        """Record that Core knows how the attempt ended."""
        self._connection.execute("UPDATE attempt SET told = 1 WHERE number = ?", (entry.number,))

    def next_boot(self) -> int:
        """A number that grows with each start, even if the clock or the journal was set back."""
        row = self._connection.execute("SELECT max(number) FROM boot").fetchone()
        number = max(int(time.time()), (row[0] or 0) + 1)
        self._connection.execute("DELETE FROM boot")
        self._connection.execute("INSERT INTO boot VALUES (?)", (number,))
        return number

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _entries(self, where: str, values: tuple[object, ...]) -> list[JournalEntry]:
        query = f"SELECT number, job, attempt, outcome, detail FROM attempt WHERE {where}"  # noqa: S608 - ours
        return [
            JournalEntry(*row)
            for row in self._connection.execute(f"{query} ORDER BY number", values)
        ]

    def _named(self) -> str:
        row = self._connection.execute("SELECT name FROM agent").fetchone()
        if row is not None:
            return str(row[0])
        name = f"agent-{uuid.uuid4().hex}"
        self._connection.execute("INSERT INTO agent VALUES (?)", (name,))
        return name
