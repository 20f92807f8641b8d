"""The limits of programs that use the SDKs. Pure."""

from __future__ import annotations

from typing import Final

from client_sdk.contract import limits as contract
from server_common import limits
from server_common.limit_table.limit import Limit, Relation, count, size

ROWS: Final[tuple[Limit, ...]] = (
    # What the SDKs' programs keep and read.
    size(
        "command in the SDK's queue", 64 * limits.KIB, "SDK", "the program gets an error",
        held="client_sdk/state/orders/commands.py:MAX_COMMAND_BYTES",
    ),
    count(
        "commands in the SDK's queue", 1000, "SDK", "the program gets an error",
        alone="they are on the device's disk, and are sent one by one",
        held="client_sdk/state/orders/commands.py:MAX_COMMANDS",
    ),
    size(
        "edits that the SDK sends at once", contract.MAX_EDITS_BODY_BYTES - 256, "SDK",
        "the next request", held="client_sdk/state/requests.py:MAX_GROUP_BYTES",
    ),
    size(
        "query of a sync, SDK", 32 * limits.KIB, "SDK", "it sends a POST",
        held="client_sdk/transport/http_transport.py:_MAX_QUERY_CHARS",
    ),
    size("`next` of a snapshot", contract.MAX_NEXT_CHARS, "SDK", "the answer counts as malformed"),
    size(
        "address of an event server", contract.MAX_URL_CHARS, "Core, SDK", "Core does not start",
        alone="no other text has it in it; the setting's own range is the same",
    ),
    size(
        "answer to a producer", 4 << 20, "SDK", "the answer counts as lost",
        held="client_sdk/client/producer.py:MAX_ANSWER_BYTES",
    ),
    size(
        "answer to a printer's agent", 64 * limits.KIB, "SDK", "the answer counts as lost",
        held="client_sdk/printer/core_source.py:_MAX_ANSWER",
    ),
    size(
        "problem", 64 * limits.KIB, "SDK", "only the status counts",
        alone="Core's own words are a few hundred bytes; the rest is a proxy's",
        held="client_sdk/transport/http_transport.py:_MAX_PROBLEM_BYTES",
    ),
    count(
        "MQTT messages that wait for a program", 2000, "SDK", "the oldest go; the program syncs",
        held="client_sdk/mqtt/connection.py:MAX_BUFFERED",
    ),
    size(
        "MQTT messages that wait for a program, in bytes", 8 << 20, "SDK",
        "the oldest go; the program syncs",
        held="client_sdk/mqtt/connection.py:MAX_BUFFERED_BYTES",
    ),
    count(
        "MQTT messages that wait on a connection", 5000, "SDK", "the oldest go; the program syncs",
        held="client_sdk/mqtt/connection.py:_MAX_WAITING",
    ),
)  # fmt: skip


RELATIONS: Final[tuple[Relation, ...]] = (
    Relation(
        "order", "command in the SDK's queue", "each order that Core takes can wait for a network",
    ),
    Relation("command in the SDK's queue", "request body", "Core reads what has waited"),
    Relation(
        "query of a sync, SDK", "request head", "Core reads what the SDK asks by GET",
        more=limits.OTHER_HEAD_BYTES,
    ),
    Relation(
        "`next` of a snapshot", "query of a sync, SDK", "it is sent back", times=3,
        more=limits.KIB,
    ),
    Relation("edit", "edits that the SDK sends at once", "each edit is sent", more=limits.KIB),
    Relation(
        "edits that the SDK sends at once", "edits body", "the request has fields of its own",
        more=256,
    ),
    Relation(
        "order", "answer to a producer", "the order is in the answer",
        more=contract.REASON_BYTES + limits.KIB,
    ),
    Relation(
        "access token", "answer to a printer's agent", "an agent's token is in an answer",
        more=4 * limits.KIB,
    ),
    Relation(
        "line of a stream", "MQTT messages that wait for a program, in bytes",
        "an event alone makes no gap",
    ),
    Relation(
        "payload of a device's message", "MQTT messages that wait for a program, in bytes",
        "a message alone makes no gap",
    ),
    Relation(
        "MQTT messages that wait for a program", "MQTT messages that wait for a program, in bytes",
        "many small ones fit", times=limits.KIB,
    ),
    Relation(
        "MQTT messages that wait for a program", "MQTT messages that wait on a connection",
        "a program's own bound comes first",
    ),
)  # fmt: skip
