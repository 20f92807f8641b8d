"""Stores for a client's checkpoint, so that a restart continues exactly after it.

A checkpoint is saved after the change that it includes was handled, never before. To store the
effect and the cursor in one transaction (exactly once), write a store of your own: store
`client.checkpoint` in your handler's transaction, read it in `load`, and let `save` do nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import threading
from abc import ABC, abstractmethod
from hashlib import sha256
from pathlib import Path
from typing import Protocol

import msgspec

from client_sdk.checkpoint import Checkpoint
from client_sdk.contract.channel import MAX_SEQ, parse_channel
from client_sdk.contract.errors import ContractError
from client_sdk.contract.json_decoding import reader
from client_sdk.errors import CursorStoreError

_FORMAT = "yabam-cursor-1"


_decoder = reader(Checkpoint)


class CursorStore(Protocol):
    """Stores one client's checkpoint."""

    async def load(self) -> Checkpoint | None:
        """The last checkpoint saved; None if there is none yet.

        Raises:
            CursorStoreError: the stored checkpoint is damaged or cannot be read.
        """

    async def save(self, checkpoint: Checkpoint) -> None:
        """Store the checkpoint; it is durable once this returns.

        Raises:
            CursorStoreError: it could not be stored.
        """


class MemoryCursors:
    """Keeps the checkpoint in memory: a restart begins with a snapshot."""

    def __init__(self) -> None:
        self.checkpoint: Checkpoint | None = None

    async def load(self) -> Checkpoint | None:
        """The last checkpoint saved."""
        return self.checkpoint

    async def save(self, checkpoint: Checkpoint) -> None:
        """Keep the checkpoint."""
        self.checkpoint = checkpoint


class _InThreads(ABC):
    """A store that reads and writes in threads, one at a time.

    A cancelled save leaves its thread running. If a newer write has started by then, the older one
    is skipped, so that it does not overwrite the newer checkpoint.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._asked = 0
        self._written = 0
        self._lock = threading.Lock()

    async def load(self) -> Checkpoint | None:
        """The last checkpoint saved.

        Raises:
            CursorStoreError: the stored data is damaged or not a checkpoint.
        """
        return await asyncio.to_thread(self._load)

    async def save(self, checkpoint: Checkpoint) -> None:
        """Keep the checkpoint.

        Raises:
            CursorStoreError: it cannot be written.
        """
        self._asked += 1
        await asyncio.to_thread(self._save_newest, self._asked, checkpoint)

    def _save_newest(self, number: int, checkpoint: Checkpoint) -> None:
        with self._lock:
            if number > self._written:
                self._save(checkpoint)
                self._written = number

    @abstractmethod
    def _load(self) -> Checkpoint | None: ...

    @abstractmethod
    def _save(self, checkpoint: Checkpoint) -> None: ...


class FileCursors(_InThreads):
    """Stores the checkpoint in a file, which is replaced as a whole and synced to the disk.

    Args:
        path: the file; its folder must exist.
    """

    def _load(self) -> Checkpoint | None:
        try:
            raw = self._path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise CursorStoreError(f"cannot read {self._path}: {error.strerror}") from error
        head, _, body = raw.partition(b"\n")
        if head != _head(body):
            raise CursorStoreError(
                f"{self._path} is damaged or not a cursor file: move it away to start anew "
                "from a snapshot"
            )
        return _checked(body, str(self._path))

    def _save(self, checkpoint: Checkpoint) -> None:
        body = msgspec.json.encode(checkpoint)
        partial = self._path.with_name(f"{self._path.name}.partial")
        try:
            with partial.open("wb") as file:
                file.write(_head(body) + b"\n" + body)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(self._path)
            _sync_folder(self._path.parent)
        except OSError as error:
            raise CursorStoreError(f"cannot write {self._path}: {error.strerror}") from error


class SqliteCursors(_InThreads):
    """Stores checkpoints in a table of an SQLite database, one row per name.

    Args:
        path: the database file; created if missing.
        name: the name of this client's row, if several clients use one database.
    """

    def __init__(self, path: str | Path, name: str = "default") -> None:
        super().__init__(path)
        self._name = name

    @staticmethod
    def prepare(connection: sqlite3.Connection) -> None:
        """Create the table, for programs that store the checkpoint in their own transaction."""
        connection.execute(
            "CREATE TABLE IF NOT EXISTS yabam_cursor "
            "(name TEXT PRIMARY KEY, checkpoint BLOB NOT NULL)"
        )

    @staticmethod
    def put(connection: sqlite3.Connection, name: str, checkpoint: Checkpoint) -> None:
        """Store the checkpoint in the connection's transaction, which the program commits.

        Args:
            connection: to a database with the table that `prepare` creates.
            name: the name of the client's row, as in the constructor.
            checkpoint: what to store, such as `client.checkpoint`.

        Raises:
            sqlite3.Error: it cannot be written.
        """
        connection.execute(
            "INSERT INTO yabam_cursor VALUES (?, ?) "
            "ON CONFLICT (name) DO UPDATE SET checkpoint = excluded.checkpoint",
            (name, msgspec.json.encode(checkpoint)),
        )

    def _load(self) -> Checkpoint | None:
        try:
            with contextlib.closing(sqlite3.connect(self._path)) as connection:
                self.prepare(connection)
                row = connection.execute(
                    "SELECT checkpoint FROM yabam_cursor WHERE name = ?", (self._name,)
                ).fetchone()
        except sqlite3.Error as error:
            raise CursorStoreError(f"cannot read {self._path}: {error}") from error
        return None if row is None else _checked(row[0], str(self._path))

    def _save(self, checkpoint: Checkpoint) -> None:
        try:
            with contextlib.closing(sqlite3.connect(self._path)) as connection, connection:
                self.prepare(connection)
                self.put(connection, self._name, checkpoint)
        except sqlite3.Error as error:
            raise CursorStoreError(f"cannot write {self._path}: {error}") from error


def _head(body: bytes) -> bytes:
    return f"{_FORMAT} {sha256(body).hexdigest()}".encode()


def _checked(body: bytes, where: str) -> Checkpoint:
    try:
        checkpoint = _decoder(body)
        if not checkpoint.epoch:
            raise CursorStoreError(f"{where} contains a cursor without an epoch")
        for channel, seq in checkpoint.positions.items():
            parse_channel(channel)
            if not 0 <= seq <= MAX_SEQ:
                raise CursorStoreError(f"{where} contains an invalid seq for {channel}")
    except (msgspec.DecodeError, TypeError, ContractError) as error:
        raise CursorStoreError(f"{where} does not contain a cursor: {error}") from error
    return checkpoint


def _sync_folder(folder: Path) -> None:
    """Make a rename durable against a power cut, if the system supports it."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
