"""Whether the limits fit each other. Pure.

Each server puts its settings into the table when it starts, and stops if there is a contradiction.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from server_common.limit_table.limit import Relation
from server_common.limit_table.relations import RELATIONS
from server_common.limit_table.rows import TABLE

DEFAULTS: Final[Mapping[str, int]] = {limit.name: limit.value for limit in TABLE}
_BY_NAME: Final = {limit.name: limit for limit in TABLE}


def with_settings(settings: object) -> dict[str, int]:
    """The values of all limits: the defaults, overridden by these settings."""
    return dict(DEFAULTS) | {
        limit.name: getattr(settings, limit.setting)
        for limit in TABLE
        if limit.setting and hasattr(settings, limit.setting)
    }


def contradictions(values: Mapping[str, int]) -> list[str]:
    """Which limits do not fit each other, in words that name both; empty: all fit."""
    return [
        _told(relation, values)
        for relation in RELATIONS
        if relation.needed(values) > values[relation.large]
    ]


def _told(relation: Relation, values: Mapping[str, int]) -> str:
    small, large = _BY_NAME[relation.small], _BY_NAME[relation.large]
    # Only a setting can be changed, so the message names the bound of that one.
    can_shrink = small.setting is not None and large.setting is None
    least = f"{large.shown} must be at least {relation.needed(values)}"
    most = f"{small.shown} must be at most {relation.most(values)}"
    return (
        f"{small.shown}={values[small.name]} and {large.shown}={values[large.name]} do not fit "
        f"each other: {most if can_shrink else least}, so that {relation.why}"
    )
