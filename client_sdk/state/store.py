"""Stores for the queue, the last known documents and private values: SQLite, or memory.

A file belongs to one subject, whose token the edits are sent with, and to one process at a time.
"""

from __future__ import annotations

import sqlite3
from base64 import urlsafe_b64decode
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from client_sdk.contract.errors import ContractError
from client_sdk.contract.json_decoding import reader
from client_sdk.contract.state.document import decode_document
from client_sdk.contract.text import is_subject
from client_sdk.errors import StateStoreError
from client_sdk.state.records import (
    DropCommand,
    DropDocument,
    DropDocuments,
    DropEntry,
    DropWaiting,
    EntryRow,
    OpenConflict,
    PutCommand,
    PutCounters,
    PutDocument,
    PutEntry,
    PutPrivate,
    PutWaiting,
    Stored,
    Write,
)

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS edit (id INTEGER PRIMARY KEY, client TEXT NOT NULL, body BLOB NOT NULL,
  part_of INTEGER NOT NULL, outcome BLOB, at INTEGER, shown INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS document (channel TEXT, key TEXT, document BLOB NOT NULL,
  PRIMARY KEY (channel, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS waiting (id INTEGER PRIMARY KEY, waiting BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS command (id INTEGER PRIMARY KEY, command BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS private (key TEXT PRIMARY KEY, version INTEGER NOT NULL, value BLOB)
  WITHOUT ROWID;
"""
_FORMAT: Final = 1
_waiting_decoder: Final = reader(OpenConflict)
_value_decoder: Final = reader(dict[str, Any])


class _Claims(msgspec.Struct, frozen=True):
    sub: str
    role: str = ""


_claims_decoder: Final = reader(_Claims)


def subject_of(token: str) -> str:
    """The token's subject as Core identifies it: role and name. The token is not verified.

    A token without them is its own subject: each such token counts as a different one.
    """
    try:
        body = token.split(".")[1]
        claims = urlsafe_b64decode(body + "=" * (-len(body) % 4))
        named = _claims_decoder(claims)
    except (IndexError, ValueError):
        named = _Claims("")
    return (
        f"{named.role}:{named.sub}"
        if is_subject(named.sub)
        else f"token-{sha256(token.encode()).hexdigest()}"
    )


class StateStore(Protocol):
    """Stores what one subject's client must not lose. It is used by one thread at a time."""

    def open(self, subject: str) -> Stored:
        """Open the store and return the subject's records.

        Raises:
            StateStoreError: it cannot be read, is another subject's, or is in use.
        """

    def write(self, writes: Sequence[Write]) -> None:
        """Do all writes or none; they survive a crash once this returns.

        Raises:
            StateStoreError: the writes failed; nothing was stored.
        """

    def close(self) -> None:
        """Release the store."""


class MemoryState:
    """A store in memory, which lasts as long as the object. Tests use it in place of a disk."""

    def __init__(self) -> None:
        self._subject: str | None = None
        self._entries: dict[int, EntryRow] = {}
        self._stored = Stored()
        self._documents: dict[tuple[str, str], PutDocument] = {}
        self._waiting: dict[int, OpenConflict] = {}
        self._commands: dict[int, bytes] = {}

    def open(self, subject: str) -> Stored:
        """What is kept; raises as `StateStore.open`."""
        if self._subject not in (None, subject):
            raise StateStoreError("this state belongs to another subject: use one for each")
        self._subject = subject
        return Stored(
            self._stored.counters,
            [self._entries[place] for place in sorted(self._entries)],
            [one.document for one in self._documents.values()],
            [self._waiting[place] for place in sorted(self._waiting)],
            [self._commands[place] for place in sorted(self._commands)],
            dict(self._stored.private),
        )

    def write(self, writes: Sequence[Write]) -> None:
        """Do the writes."""
        for write in writes:
            match write:
                case PutEntry(row):
                    self._entries[row.id] = row
                case DropEntry(place):
                    self._entries.pop(place, None)
                case PutCounters():
                    self._stored.counters = write
                case PutDocument(document):
                    self._documents[document.channel, document.key] = write
                case DropDocument(channel, key):
                    self._documents.pop((channel, key), None)
                case DropDocuments():
                    self._documents.clear()
                case PutWaiting(waiting):
                    self._waiting[waiting.id] = waiting
                case DropWaiting(place):
                    self._waiting.pop(place, None)
                case PutCommand(place, body):
                    self._commands[place] = body
                case DropCommand(place):
                    self._commands.pop(place, None)
                case PutPrivate(key, version, value):
                    self._stored.private[key] = version, value

    def close(self) -> None:
        """Does nothing: the object keeps the records."""


class SqliteState:
    """A store in a folder, with one SQLite database for each subject.

    A write is on the disk when it returns (WAL, synchronous): neither a killed process nor a power
    cut loses an edit that was accepted. Do not copy the files to another device: two queues would
    use one client id.

    Args:
        folder: where the databases are; created if missing.
    """

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder)
        self._connection: sqlite3.Connection | None = None

    def open(self, subject: str) -> Stored:
        """What is kept; raises as `StateStore.open`."""
        path = self._folder / f"{sha256(subject.encode()).hexdigest()[:32]}.state"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(path, timeout=1.0, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            raise StateStoreError(f"cannot open {path}: {error}") from error
        try:
            stored = _opened(connection, subject)
        except sqlite3.OperationalError as error:
            connection.close()
            raise StateStoreError(f"cannot open {path}, or it is in use: {error}") from error
        except (sqlite3.Error, msgspec.DecodeError, ContractError) as error:
            connection.close()
            raise StateStoreError(f"{path} is damaged: {error}") from error
        except StateStoreError:
            connection.close()
            raise
        self._connection = connection
        return stored

    def write(self, writes: Sequence[Write]) -> None:
        """Do the writes in one transaction; raises as `StateStore.write`."""
        if self._connection is None:
            raise StateStoreError("the state is not open")
        try:
            with self._connection:
                for write in writes:
                    self._connection.execute(*_statement(write))
        except sqlite3.Error as error:
            raise StateStoreError(f"the state cannot be written: {error}") from error

    def close(self) -> None:
        """Close the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _opened(connection: sqlite3.Connection, subject: str) -> Stored:
    # The operating system releases this lock when the process ends, even by a crash.
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.executescript(_SCHEMA)
    with connection:
        connection.execute(
            "INSERT INTO meta VALUES ('subject', ?), ('format', ?) ON CONFLICT DO NOTHING",
            (subject, _FORMAT),
        )
    meta = dict(connection.execute("SELECT name, value FROM meta"))
    if meta["subject"] != subject:
        raise StateStoreError("this state belongs to another subject: use one for each")
    if meta["format"] != _FORMAT:
        raise StateStoreError(f"the state has format {meta['format']}, this SDK needs {_FORMAT}")
    counters = None
    if "client" in meta:
        counters = PutCounters(meta["client"], meta["next_n"], meta["next_id"], meta["epoch"])
    edits = connection.execute(
        "SELECT id, client, body, part_of, outcome, at, shown FROM edit ORDER BY id"
    )
    return Stored(
        counters,
        [
            EntryRow(place, client, body, group, outcome, at, bool(shown))
            for place, client, body, group, outcome, at, shown in edits
        ],
        [decode_document(row[0]) for row in connection.execute("SELECT document FROM document")],
        [
            _waiting_decoder(row[0])
            for row in connection.execute("SELECT waiting FROM waiting ORDER BY id")
        ],
        [row[0] for row in connection.execute("SELECT command FROM command ORDER BY id")],
        {
            key: (version, None if value is None else _value_decoder(value))
            for key, version, value in connection.execute("SELECT * FROM private")
        },
    )


def _statement(write: Write) -> tuple[str, tuple[Any, ...]]:
    match write:
        case PutEntry(row):
            values = (row.id, row.client, row.body, row.group, row.outcome, row.at, row.shown)
            return "INSERT OR REPLACE INTO edit VALUES (?, ?, ?, ?, ?, ?, ?)", values
        case DropEntry(place):
            return "DELETE FROM edit WHERE id = ?", (place,)
        case PutCounters():
            return (
                "INSERT OR REPLACE INTO meta VALUES ('client', ?), ('next_n', ?), ('next_id', ?), "
                "('epoch', ?)",
                (write.client, write.next_n, write.next_id, write.epoch),
            )
        case PutDocument(document):
            return (
                "INSERT OR REPLACE INTO document VALUES (?, ?, ?)",
                (document.channel, document.key, msgspec.json.encode(document)),
            )
        case DropDocument(channel, key):
            return "DELETE FROM document WHERE channel = ? AND key = ?", (channel, key)
        case DropDocuments():
            return "DELETE FROM document", ()
        case PutWaiting(waiting):
            body = msgspec.json.encode(waiting)
            return "INSERT OR REPLACE INTO waiting VALUES (?, ?)", (waiting.id, body)
        case DropWaiting(place):
            return "DELETE FROM waiting WHERE id = ?", (place,)
        case PutCommand(place, command):
            return "INSERT OR REPLACE INTO command VALUES (?, ?)", (place, command)
        case DropCommand(place):
            return "DELETE FROM command WHERE id = ?", (place,)
        case PutPrivate(key, version, value):
            body_or_none = None if value is None else msgspec.json.encode(value)
            return "INSERT OR REPLACE INTO private VALUES (?, ?, ?)", (key, version, body_or_none)
