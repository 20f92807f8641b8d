"""What an edit was made on: which version, what its client saw, and when. Pure."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from msgspec import UNSET, Struct, UnsetType

from client_sdk.contract.state.edit import Edit, OwnEdit
from client_sdk.contract.state.values import Value
from core_api.documents.kept_versions import Head, History
from core_api.documents.refusals import refuse


class OwnResult(Struct, frozen=True):
    """The result of an edit, for later edits that its client made on top of it."""

    version: int
    """The newest version after it."""
    base: int | None
    """The version that it was made on itself; None: it named none."""
    plain: bool
    """Whether it was `applied`. If not, others came in between, and an edit on top of it is
    concurrent with all since `base`."""
    time: datetime | None
    """The edit's time; None: nobody knows."""
    view: Value | UnsetType | None = UNSET
    """What its client saw after it; None: no document. UNSET: the value at `version`, if it was
    applied, else unknown."""
    view_schema: int = 1
    """The version of the schema that the view fits."""
    of: str = ""
    """Its document, as `channel key`; empty: it was settled by a release that did not note it."""


class Base(Struct, frozen=True):
    """What an edit was made on."""

    version: int | None
    """None: the base is not known to Core; the edit is concurrent with every version."""
    time: datetime | None
    """When that was made; None: it is not known, or there was no document."""
    value: Value | UnsetType | None
    """What the client saw; None: no document. UNSET: Core does not have it."""
    schema_version: int
    """The version of the schema that the value fits."""


def makes_anew(edit: Edit, head: Head) -> bool:
    """Whether the edit creates the document: its client saw none, and there is none now.

    If the document was deleted before the edit was made, the edit may create it again. If it was
    deleted later, the two are concurrent: the deleting client may have seen more.
    """
    if edit.base != 0 or head.value is not None:
        return False
    return edit.made_at is None or head.made_at is None or edit.made_at >= head.made_at


def resolved(
    edit: Edit, head: Head, history: History, resolve_base: Callable[[int], OwnResult | None]
) -> Base:
    """What the edit was made on.

    Args:
        edit: of this document.
        head: the newest version.
        history: what is kept, up to the newest.
        resolve_base: the result of the client's own edit of that number, of the same document;
            None: it was refused, or is not known.

    Raises:
        RefusedEditError: `depends`, if it was the client's own edit and that was refused;
            `base-ahead`, if there is no such version yet.
    """
    version: int | None
    if isinstance(edit.base, OwnEdit):
        own = resolve_base(edit.base.n)
        if own is None:
            refuse(
                "depends",
                f"it was made on edit {edit.base.n}, which was refused or is not of this document",
            )
        version = own.version if own.plain else own.base
        _check_version(version, head)
        value, schema = (
            (own.view, own.view_schema)
            if own.view is not UNSET or not own.plain
            else _value_at(version, edit, head, history)
        )
        return Base(version, own.time, *_told(edit, value, schema))
    version = edit.base if edit.base is not None or head.version > 0 else 0
    if makes_anew(edit, head):
        version = head.version
    _check_version(version, head)
    return Base(
        version,
        _time_at(version, head, history),
        *_told(edit, *_value_at(version, edit, head, history)),
    )


def _told(edit: Edit, value: Value | UnsetType | None, schema: int) -> tuple[
    Value | UnsetType | None, int
]:  # fmt: skip
    """The value, or the one that the client sent with the edit."""
    if edit.base_value is UNSET or edit.schema is None:
        return value, schema
    return edit.base_value, edit.schema


def _check_version(version: int | None, head: Head) -> None:
    if version is not None and version > head.version:
        refuse(
            "base-ahead",
            f"it was made on version {version}, and the newest is {head.version}: sync, then send "
            "it anew",
        )


def _value_at(
    version: int | None, edit: Edit, head: Head, history: History
) -> tuple[Value | UnsetType | None, int]:
    if version == head.version:
        return head.value, head.schema_version
    if version == 0:
        return None, 1 if edit.schema is None else edit.schema
    kept = None if version is None else history.at(version)
    return (UNSET, 1) if kept is None else (kept.value, kept.schema_version)


def _time_at(version: int | None, head: Head, history: History) -> datetime | None:
    if version == head.version:
        return head.made_at
    kept = None if version is None else history.at(version)
    return None if kept is None else kept.made_at
