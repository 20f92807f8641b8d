"""Helpers that build the schemas of documents. Pure."""

from __future__ import annotations

from typing import Any, Final

DAY_S: Final = 86_400
ID: Final = {"pattern": r"^[A-Za-z0-9_.\-]{1,64}$"}
NAME: Final = {"type": "string", "minLength": 1, "maxLength": 200}
NOTE: Final = {"type": "string", "maxLength": 500}
PHONE: Final = {"type": "string", "pattern": r"^\+?[0-9][0-9 ()\-]{2,29}$"}
PRICE: Final = {"type": "integer", "minimum": 0, "maximum": 10**12}


def closed_object(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    """The schema of an object that has these properties and no other."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def whole_object(properties: dict[str, Any], *optional: str) -> dict[str, Any]:
    """The schema of an object with these properties, all required but the `optional` ones."""
    return closed_object(properties, *sorted(properties.keys() - set(optional)))


def by_id(entry: dict[str, Any], limit: int, ids: dict[str, Any] = ID) -> dict[str, Any]:
    """The schema of entries by their ids, so that each is merged by itself.

    Args:
        entry: the schema of each entry.
        limit: how many entries there may be.
        ids: the schema of the ids.
    """
    return {
        "type": "object",
        "propertyNames": ids,
        "additionalProperties": entry,
        "maxProperties": limit,
    }
