"""Documents that never leave the device: the channels `private` and `session`. Pure.

`private` is kept in the store; `session` ends with the client.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from client_sdk.contract.errors import StateError
from client_sdk.contract.state.operations import Operation, decode_operation, encode_operation
from client_sdk.contract.state.values import Value
from client_sdk.contract.text import is_id, shown
from client_sdk.state.effects import View
from client_sdk.state.entries import DocumentName
from client_sdk.state.records import PutPrivate, Write
from client_sdk.state.view import perform

PRIVATE: Final = "private"
SESSION: Final = "session"


def is_private(channel: str) -> bool:
    """Whether documents of the channel never leave the device."""
    return channel in (PRIVATE, SESSION)


class PrivateDocuments:
    """The documents of the device.

    Args:
        kept: the stored documents of `private`: version and value by key.
    """

    def __init__(self, kept: Mapping[str, tuple[int, Value | None]]) -> None:
        self._documents: dict[DocumentName, tuple[int, Value | None]] = {
            (PRIVATE, key): document for key, document in kept.items()
        }

    def view(self, name: DocumentName) -> View:
        """The document as it is shown."""
        version, value = self._documents.get(name, (0, None))
        return View(value, version, 0, False, 0, None, None)

    def keys(self, channel: str) -> list[str]:
        """The documents that are there."""
        return sorted(
            key for (of, key), (_, value) in self._documents.items()
            if of == channel and value is not None
        )  # fmt: skip

    def changed(self, name: DocumentName, do: Operation) -> tuple[int, Value | None]:
        """The document after the operation: version and value.

        Raises:
            StateError: the operation does not fit the document, or the key is malformed.
        """
        if not is_id(name[1]):
            raise StateError(f"{shown(name[1])} is not a key: use 1 to 64 of A-Z a-z 0-9 _ . -")
        decode_operation(encode_operation(do))
        version, value = self._documents.get(name, (0, None))
        return version + 1, perform(do, value, {})

    def writes_of(self, name: DocumentName, document: tuple[int, Value | None]) -> list[Write]:
        """The writes that must be stored before the document is shown."""
        return [PutPrivate(name[1], *document)] if name[0] == PRIVATE else []

    def show(self, name: DocumentName, document: tuple[int, Value | None]) -> None:
        """Show this version and value from now on."""
        self._documents[name] = document
