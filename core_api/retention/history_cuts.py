"""How much of a document's history may go, so that every version that stays has its value. Pure.

What remains begins with a version whose value can be had by itself: one that is kept whole, or an
end. So some versions that are older than they need be are kept, up to the next such version; and
the newest is always kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from core_api.documents.definitions import Definitions

DEFAULT_S: Final = 30 * 86_400
"""How long versions are kept where nothing is defined at all."""


class KeptVersion(Struct, frozen=True):
    """A version of the history, as far as it matters here."""

    version: int
    is_old: bool
    """Whether it is older than its definition asks to keep."""
    stands_alone: bool
    """Whether its value can be had without the versions before it."""


class Cut(Struct, frozen=True):
    """What is deleted of a document's history."""

    below: int
    """The versions below this one."""
    aside: int
    """What was put aside up to this version, if it is old; 0: nothing."""


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
    """How long versions are kept of keys that nothing defines any more, in seconds."""
    return max((one.history_s for one in definitions.all), default=DEFAULT_S)


def kept_s(definitions: Definitions, scope: str, key: str) -> int:
    """How long the versions of a document are kept, in seconds."""
    definition = definitions.of(scope, key)
    return longest_s(definitions) if definition is None else definition.history_s
