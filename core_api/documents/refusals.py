"""Why an edit is refused. Pure."""

from __future__ import annotations

from typing import Final, Literal, NoReturn, get_args

from msgspec import Struct

from client_sdk.contract.errors import YabamError
from client_sdk.contract.state.edit import Conflict

RefusalSlug = Literal[
    "base-ahead",
    "call-refused",
    "depends",
    "edit-conflict",
    "edit-outdated",
    "forbidden-operation",
    "invalid",
    "patch-failed",
    "schema-ahead",
    "too-large",
    "too-late",
]
REFUSALS: Final[tuple[RefusalSlug, ...]] = get_args(RefusalSlug)
"""Each problem that an edit can be refused with by its document's rules."""


class EditRefusal(Struct, frozen=True):
    """Why an edit is refused; nothing is changed by it."""

    slug: RefusalSlug
    detail: str
    """What is wrong, and what to do."""
    pointer: str | None = None
    """The JSON Pointer of the fault in the value, if the value is refused."""
    conflict: Conflict | None = None
    """The data that the client's resolver needs, if other edits came first."""


class RefusedEditError(YabamError):
    """Carries a refusal from the rule that found it to `settling.settle`."""

    def __init__(self, refusal: EditRefusal) -> None:
        super().__init__(refusal.detail)
        self.refusal = refusal


class CallRefusedError(YabamError):
    """Raised by an operator's function to refuse the call; the client gets the text."""


def refuse(
    slug: RefusalSlug, detail: str, pointer: str | None = None, conflict: Conflict | None = None
) -> NoReturn:
    """Refuse the edit that is being settled.

    Args:
        slug: the problem's name.
        detail: what is wrong, and what the client can do.
        pointer: the JSON Pointer of the fault in the value; None: the value is not at fault.
        conflict: what the client's resolver needs; None: others' edits are not the reason.

    Raises:
        RefusedEditError: always.
    """
    raise RefusedEditError(EditRefusal(slug, detail, pointer, conflict))
