"""Checks of an edit before the document is read, and of a value before it is stored. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from client_sdk.contract.digest import canonical
from client_sdk.contract.errors import StateValueError
from client_sdk.contract.limits import MAX_VALUE_BYTES
from client_sdk.contract.state.edit import Edit
from client_sdk.contract.state.operations import Call
from client_sdk.contract.state.pointer import parse_pointer
from client_sdk.contract.state.values import Value, check_name, check_value
from core_api.documents.definitions import Definition
from core_api.documents.refusals import refuse


def check_admission(edit: Edit, definition: Definition, now: datetime) -> None:
    """Whether the edit may be settled at all, whatever the document is like.

    Args:
        edit: of a document with this definition.
        definition: what holds for the document.
        now: by the database's clock.

    Raises:
        RefusedEditError: `forbidden-operation`, `too-late` or `schema-ahead`.
    """
    if definition.strategy == "call" and not isinstance(edit.do, Call):
        names = ", ".join(sorted(definition.calls))
        refuse("forbidden-operation", f"this document takes no operation but call: {names}")
    oldest = now - timedelta(seconds=definition.max_age_s)
    if edit.made_at is not None and edit.made_at < oldest:
        refuse(
            "too-late",
            f"this edit is older than the {definition.max_age_s} s allowed: read the document and "
            "edit it again",
        )
    if definition.until is not None and now >= definition.until:
        refuse("too-late", f"the document has ended at {definition.until.isoformat()}")
    if edit.schema is not None and edit.schema > definition.schema_version:
        refuse(
            "schema-ahead",
            f"the newest schema version here is {definition.schema_version}: send the edit again "
            "when Core knows yours",
        )


def checked(value: Value, steps: Sequence[dict[str, Any]], definition: Definition) -> bytes:
    """The value in the form of RFC 8785, if the document may have it.

    Args:
        value: the whole.
        steps: how it differs from one that was checked before, so that only this need be looked at.
        definition: what holds for the document.

    Raises:
        RefusedEditError: `invalid` with the pointer, or `too-large`.
    """
    try:
        for step in steps:
            if step["op"] != "remove":
                path = parse_pointer(step["path"])
                if path:
                    check_name(path[-1], path[:-1])
                check_value(step["value"], path)
    except StateValueError as error:
        refuse("invalid", str(error), error.pointer)
    content = canonical(value)
    if len(content) > MAX_VALUE_BYTES:
        refuse(
            "too-large",
            f"a document may have at most {MAX_VALUE_BYTES} bytes, and would have {len(content)}",
        )
    violation = definition.violation(value)
    if violation is not None:
        pointer, message = violation
        refuse("invalid", f"{pointer or 'the value'} breaks the schema: {message}", pointer)
    return content
