"""The version that an edit makes: its number, its diff, its time. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec import Struct

from client_sdk.contract.errors import StateError
from client_sdk.contract.limits import MAX_VALUE_BYTES
from client_sdk.contract.state.document import DocumentOperation
from client_sdk.contract.state.patch import differences, steps_of
from client_sdk.contract.state.pointer import MISSING
from client_sdk.contract.state.values import Value
from core_api.documents.checks import checked
from core_api.documents.definitions import Definition
from core_api.documents.kept_versions import Head, Kept


class Version(Struct, frozen=True):
    """A version that an edit made."""

    version: int
    value: Value | None
    content: bytes
    """The value in the form of RFC 8785; empty: the document is deleted."""
    diff: list[dict[str, Any]]
    """From the version before (RFC 6902)."""
    operation: DocumentOperation
    made_at: datetime
    """The version's time."""
    schema_version: int

    @property
    def head(self) -> Head:
        """This version as the newest."""
        return Head(self.version, self.value, self.schema_version, self.made_at)

    @property
    def kept(self) -> Kept:
        """This version as a part of the history."""
        return Kept(self.version, self.made_at, self.diff, self.schema_version, self.value)


def next_version(
    head: Head,
    current: Value | None,
    value: Value | None,
    definition: Definition,
    made_at: datetime,
) -> Version | None:
    """The version after the head that has this value; None: nothing changes.

    Args:
        head: the newest version.
        current: its value, as the newest schema has it.
        value: the new value, which shares with `current` what stayed the same.
        definition: what holds for the document.
        made_at: the new version's time.

    Raises:
        RefusedEditError: no document may have the value.
    """
    steps = diff_of(current, value)
    if not steps:
        return None
    if current is not head.value:
        steps = diff_of(head.value, value)
    content = b"" if value is None else checked(value, steps, definition)
    kind: DocumentOperation = "create" if head.value is None else "update"
    return Version(
        version=head.version + 1,
        value=value,
        content=content,
        diff=steps,
        operation="delete" if value is None else kind,
        made_at=made_at,
        schema_version=definition.schema_version,
    )


def diff_of(before: Value | None, after: Value | None) -> list[dict[str, Any]]:
    """The diff from one value to the next (RFC 6902).

    Each changed member repeats the names above it. Where these would be longer than a document may
    be, the diff replaces the whole value: it is stored with each version.

    Args:
        before: None: there is no document.
        after: the same.
    """
    found = differences(MISSING if before is None else before, MISSING if after is None else after)
    if sum(len(name) + 1 for one in found for name in one.path) > MAX_VALUE_BYTES:
        return [{"op": "replace", "path": "", "value": after}]
    return steps_of(found)


def ended(head: Head, now: datetime) -> Version:
    """The version after the head that deletes the document, because its lifetime has ended."""
    return Version(
        version=head.version + 1,
        value=None,
        content=b"",
        diff=diff_of(head.value, None),
        operation="delete",
        made_at=now,
        schema_version=head.schema_version,
    )


def migrated(head: Head, definition: Definition, now: datetime) -> Version:
    """The version after the head that has its value as the newest schema has it.

    There is one even if the value stays the same: it fits another schema by then.

    Args:
        head: the newest version, with a value that fits an older schema.
        definition: what holds for the document, with its migrations.
        now: the new version's time.

    Raises:
        StateError: there is no document, there is no migration to the newest schema, or one fails
            on the value.
        RefusedEditError: no document may have the migrated value.
    """
    value = definition.migrate(head.value, head.schema_version)
    if value is None:
        raise StateError("there is no document, so there is nothing to migrate")
    steps = diff_of(head.value, value)
    return Version(
        version=head.version + 1,
        value=value,
        content=checked(value, steps, definition),
        diff=steps,
        operation="update",
        made_at=now,
        schema_version=definition.schema_version,
    )


def version_time(
    time: datetime | None, settled_by: str | None, head: Head, definition: Definition, now: datetime
) -> datetime:
    """The time of the version that an edit makes.

    Args:
        time: the edit's; None: nobody knows.
        settled_by: what settled it; None: it was not concurrent.
        head: the newest version.
        definition: what holds for the document.
        now: by the database's clock.
    """
    if settled_by is None:
        return time or now
    if time is None or head.made_at is None:
        return time or head.made_at or now
    # Under merge and sum each path has its own time. Otherwise the newest version's time is that of
    # the whole, and an edit that always takes effect must not set it back.
    return time if definition.strategy in ("merge", "sum") else max(time, head.made_at)
