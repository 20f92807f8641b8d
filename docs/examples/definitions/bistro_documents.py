"""The documents of a bistro: who waits for a table, and who pays for what."""

from core_api.documents.definitions import Definition
from core_api.documents.refusals import CallRefusedError


def with_party_size(value):
    """From schema version 1, which had names only, to 2: a party is two people if nobody said."""
    return {"parties": {key: {"name": name, "size": 2} for key, name in value["names"].items()}}


QUEUE = Definition(
    key="queue",
    scopes=frozenset({"team"}),  # team:{store}: the owner's terminals
    strategy="merge",
    writers=frozenset({"owner"}),
    schema_version=2,
    migrations={1: with_party_size},
    schema={
        "type": "object",
        "required": ["parties"],
        "additionalProperties": False,
        "properties": {
            "parties": {
                "type": "object",
                "additionalProperties": {
                    "type": "object",
                    "required": ["name", "size"],
                    "additionalProperties": False,
                    "properties": {
                        "name": {"type": "string", "maxLength": 100},
                        "size": {"type": "integer", "minimum": 1},
                    },
                },
            }
        },
    },
    max_age_s=3600,  # an edit that was made longer ago than an hour is refused
    history_s=86_400,  # versions are kept for a day
)


def take(current, arguments):
    """A guest takes a share of the bill, unless somebody else has it."""
    share, guest = arguments["share"], arguments["guest"]
    taken = (current or {"taken": {}})["taken"]
    if taken.get(share, guest) != guest:
        raise CallRefusedError(f"{taken[share]} pays for {share} already")
    return {"taken": taken | {share: guest}}


SPLIT = Definition(
    key="split",
    scopes=frozenset({"party"}),  # party:{store}/{table}: the guests of one table
    strategy="call",
    writers=frozenset({"owner", "table"}),
    calls={"take": take},
    schema={"type": "object", "required": ["taken"], "properties": {"taken": {"type": "object"}}},
)

DEFINITIONS = (QUEUE, SPLIT)
