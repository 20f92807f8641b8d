"""What a limit is, and how two must fit each other. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal


@dataclass(frozen=True, slots=True)
class Limit:
    """One size: where it is held, and what happens beyond it."""

    name: str
    value: int
    unit: Literal["bytes", "count", "bytes/s"]
    where: str
    beyond: str
    setting: str | None = None
    """The field of the settings that holds it; None: it is fixed."""
    alone: str = ""
    """Why no other limit must fit it; empty: some must."""
    held: str = ""
    """The constant that holds it, as `module:NAME`, where this package may not import it."""

    @property
    def shown(self) -> str:
        """Its name in a message."""
        return f"YABAM_{self.setting.upper()}" if self.setting else f"the limit {self.name!r}"


def size(
    name: str,
    value: int,
    where: str,
    beyond: str,
    setting: str | None = None,
    *,
    alone: str = "",
    held: str = "",
) -> Limit:
    """A limit of bytes.

    Args:
        name: what is limited, in the words of the settings page.
        value: how many bytes.
        where: the part that holds the limit.
        beyond: what happens to what is larger.
        setting: the field of the settings that holds it; None: it is fixed.
        alone: why no other limit must fit it.
        held: the constant that holds it, where this package may not import it.
    """
    return Limit(name, value, "bytes", where, beyond, setting, alone, held)


def count(
    name: str,
    value: int,
    where: str,
    beyond: str,
    setting: str | None = None,
    *,
    alone: str = "",
    held: str = "",
) -> Limit:
    """A limit of how many.

    Args:
        name: what is limited, in the words of the settings page.
        value: how many.
        where: the part that holds the limit.
        beyond: what happens with more.
        setting: the field of the settings that holds it; None: it is fixed.
        alone: why no other limit must fit it.
        held: the constant that holds it, where this package may not import it.
    """
    return Limit(name, value, "count", where, beyond, setting, alone, held)


def rate(name: str, value: int, where: str, beyond: str) -> Limit:
    """A limit of bytes a second.

    Args:
        name: what is limited, in the words of the settings page.
        value: how many bytes in each second.
        where: the part that holds the limit.
        beyond: what happens with more.
    """
    return Limit(name, value, "bytes/s", where, beyond)


@dataclass(frozen=True, slots=True)
class Relation:
    """`times` × `small` + `more` must be at most `large`; both are names of limits."""

    small: str
    large: str
    why: str
    times: int | Fraction = 1
    more: int = 0

    def needed(self, values: Mapping[str, int]) -> int:
        """The least that `large` may be."""
        return math.ceil(self.times * values[self.small]) + self.more

    def most(self, values: Mapping[str, int]) -> int:
        """The most that `small` may be; negative: `large` is too small for any."""
        return math.floor((values[self.large] - self.more) / Fraction(self.times))
