"""How much of a document's history may be deleted so that the other versions keep values. Pure.

The rest begins with a version whose value does not need earlier ones: one that is stored whole, or
a deletion. So some versions are kept longer than required, up to the next such version; and the
newest is always kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from core_api.documents.definitions import Definitions

DEFAULT_S: Final = 30 * 86_400
"""How long versions are kept if there are no definitions, in seconds."""


class KeptVersion(Struct, frozen=True):
    """The parts of a version that decide what is deleted."""

    version: int
    is_old: bool
    """Whether it is older than its definition asks to keep."""
    stands_alone: bool
    """Whether its value is known without the versions before it."""


class Cut(Struct, frozen=True):
    """The part of a document's history to delete."""

    below: int
    """The versions below this one."""
    aside: int
    """Old edits put aside up to this version, too; 0: none."""


def cut(versions: Sequence[KeptVersion]) -> Cut:
    """What may be deleted.

    Args:
        versions: in their order, from the oldest that is kept on, without a gap; at least one. They
            may be a prefix of the history: call again for the rest once these are deleted.
    """
    needed = next((one for one in versions if not one.is_old), versions[-1])
    below = versions[0].version
    aside = 0
    for one in versions:
        if one.version <= needed.version and one.stands_alone:
            below = one.version
        if one.is_old:
            aside = max(aside, one.version)
    return Cut(below, aside)


def longest_s(definitions: Definitions) -> int:
    """How long versions of keys without a definition are kept, in seconds."""
    return max((one.history_s for one in definitions.all), default=DEFAULT_S)


def kept_s(definitions: Definitions, scope: str, key: str) -> int:
    """How long the versions of a document are kept, in seconds.

    Args:
        definitions: how long versions are kept; for a key without one, the longest time of all.
        scope: the kind of the document's channel.
        key: the document's.
    """
    definition = definitions.of(scope, key)
    return longest_s(definitions) if definition is None else definition.history_s
