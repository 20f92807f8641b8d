"""The replica's output: views of documents, and the effects of its inputs. Pure values."""

from __future__ import annotations

from dataclasses import dataclass, field

from client_sdk.contract.state.edit import EditOutcome
from client_sdk.contract.state.values import Value
from client_sdk.state.conflicts import EditError
from client_sdk.state.entries import DocumentName
from client_sdk.state.records import OpenConflict, Write


@dataclass(frozen=True, slots=True)
class View:
    """A document as it is shown to the program."""

    value: Value | None
    """With the pending edits; None: there is no document."""
    version: int
    """Core's version below them; 0: none."""
    pending: int
    """Edits that Core's value does not contain yet."""
    loading: bool
    """Whether Core has a newer value than the one shown, or nothing is known yet."""
    left_out: int
    """Pending edits that do not fit the value; they are sent all the same."""
    conflict: OpenConflict | None
    """The conflict that waits for `resolve` or `discard`."""
    error: EditError | None
    """Why the last edit was refused, until another one takes effect."""


@dataclass(slots=True)
class Effects:
    """The effects of the inputs since the last `drain`."""

    writes: list[Write] = field(default_factory=list)
    changed: set[DocumentName] = field(default_factory=set)
    """An empty key stands for all documents of the channel, including ones that do not exist."""
    outcomes: list[tuple[int, EditOutcome]] = field(default_factory=list)
    """Each with the entry's id."""
    conflicts: list[OpenConflict] = field(default_factory=list)
