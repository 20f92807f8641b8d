"""The limits of tokens, of the OpenID provider, push messages and webhooks. Pure."""

from __future__ import annotations

from fractions import Fraction
from typing import Final

from client_sdk.contract import limits as contract
from server_common import limits
from server_common.limit_table.limit import Limit, Relation, count, size

ROWS: Final[tuple[Limit, ...]] = (
    # Who calls.
    size(
        "access token", 12_288, "Core, event server", "401",
        held="server_common/access/access_tokens.py:MAX_TOKEN_CHARS",
    ),
    size("subject of a token", contract.MAX_SUBJECT_CHARS, "Core", "401"),
    size(
        "token of Kafka's provider", 64 * limits.KIB, "whoever uses Kafka", "it counts as no token",
        alone="it comes from the operator's own provider, and goes to Kafka alone",
        held="server_common/kafka/token_provider.py:_MAX_BYTES",
    ),
    size(
        "record of a revocation", 4096, "event server", "it is left out, and counted",
        held="server_common/revocations/records.py:MAX_RECORD_BYTES",
    ),
    size(
        "answer of the OpenID provider", limits.PROVIDER_ANSWER_BYTES, "Core",
        "the keys that are known go on",
    ),
    count(
        "keys of the OpenID provider", limits.PROVIDER_KEYS, "Core",
        "the keys that are known go on",
    ),
    count("stores of a provider's token", limits.PROVIDER_STORES, "Core", "403 `forbidden`",
        alone="the token's own bytes come first, unless the names are short",
    ),
    count("revocations", limits.REVOCATIONS, "Core", "409 `too-many-revocations`",
        alone="all are in memory, a few hundred bytes each, and records come one by one",
    ),
    count(
        "revocations beyond these", limits.REVOCATIONS_BY_COMMAND, "`yabam token revoke`",
        "409 `too-many-revocations`",
        alone="it is added to the others",
    ),
    count("browsers that are told of orders", limits.PUSHES, "Core", "409 `too-many-devices`"),
    count("those of a store", limits.PUSHES_OF_STORE, "Core", "409 `too-many-devices`"),
    count("guests' phones that are told", limits.GUEST_PUSHES, "Core", "409 `too-many-devices`"),
    count("those of a table", limits.GUEST_PUSHES_OF_TABLE, "Core", "409 `too-many-devices`"),
    count(
        "orders that a message to a guest's phone names", limits.PUSH_ORDERS_NAMED,
        "`yabam webhooks`", "it names the newest",
    ),
    size("endpoint of a browser", limits.PUSH_ENDPOINT_BYTES, "Core", "422"),
    size(
        "message to a browser", limits.PUSH_MESSAGE_BYTES, "`yabam webhooks`",
        "each is as long; push services take 4,096",
    ),
    size(
        "what push services take", 4096, "push services", "413",
    ),
    count(
        "orders that a message to a browser counts", limits.PUSH_ORDERS_COUNTED, "`yabam webhooks`",
        "it says so many",
        alone="a number of four digits, in any message",
    ),
    count(
        "requests under way to push services", limits.PUSHES_AT_ONCE, "`yabam webhooks`",
        "browsers wait; half at most are of those that fail",
    ),
    count(
        "requests under way to one push service", limits.PUSHES_AT_ONCE_EACH,
        "each `yabam webhooks`", "its further browsers wait",
    ),
    count(
        "requests under way to browsers of one token's subject", limits.PUSHES_AT_ONCE_OWNER,
        "each `yabam webhooks`", "its further browsers wait",
    ),
    count("webhooks", limits.WEBHOOKS, "Core", "409 `too-many-webhooks`"),
    count("webhooks of a store", limits.WEBHOOKS_OF_STORE, "Core", "409 `too-many-webhooks`"),
    count(
        "webhooks of a token's subject", limits.WEBHOOKS_OF_SUBJECT, "Core",
        "409 `too-many-webhooks`",
    ),
    count("stores of a webhook", limits.WEBHOOK_STORES, "Core", "422"),
    count(
        "stores of all webhooks together", limits.WEBHOOK_LANES, "Core", "409 `too-many-webhooks`",
    ),
    size("URL of a webhook", limits.WEBHOOK_URL_BYTES, "Core", "422"),
    count("event types of a webhook", limits.WEBHOOK_TYPES, "Core", "422",
        alone="there are fewer types",
    ),
    size(
        "answer of a webhook's receiver", limits.WEBHOOK_ANSWER_BYTES, "`yabam webhooks`",
        "the rest is not read",
        alone="what a stranger says is cut, and goes nowhere",
    ),
    size(
        "all that a webhook's receiver says before the end of its answer's head",
        limits.WEBHOOK_HEAD_BYTES, "`yabam webhooks`", "the attempt has failed",
        alone="what a stranger says is cut, and goes nowhere",
    ),
    count(
        "requests under way to webhooks' receivers", limits.WEBHOOKS_AT_ONCE, "`yabam webhooks`",
        "stores wait; half at most are of receivers that fail",
    ),
    count(
        "requests under way of one webhook", limits.WEBHOOKS_AT_ONCE_EACH, "each `yabam webhooks`",
        "its further stores wait",
    ),
    count(
        "events that a webhook's store reads at once", limits.WEBHOOK_EVENTS_READ,
        "`yabam webhooks`", "the others are read later",
        alone="a read ends by this count or by its bytes",
    ),
    size(
        "events that a webhook's store reads at once, in bytes", limits.WEBHOOK_READ_BYTES,
        "`yabam webhooks`", "the others are read later; one is read in any case",
    ),
    count(
        "events of a webhook that are set aside", limits.WEBHOOK_SET_ASIDE, "`yabam webhooks`",
        "the store waits, and is parked after three days",
        alone="each is a row in Postgres, read one by one",
    ),
    count(
        "older secrets of a webhook that sign", limits.WEBHOOK_OLD_SECRETS, "Core",
        "the oldest ends at the next rotation",
        alone="each adds a signature of 47 letters to one header",
    ),
)  # fmt: skip


RELATIONS: Final[tuple[Relation, ...]] = (
    Relation(
        "access token", "headers beside the query", "a browser's other headers have room",
        more=4 * limits.KIB,
    ),
    Relation(
        "subject of a token", "longest ticket", "a ticket names its subject", times=8,
    ),
    Relation(
        "subject of a token", "record of a revocation", "whatever its name, it can be signed out",
        times=6, more=512,
    ),
    Relation(
        "record of a revocation", "topic: max.message.bytes", "Kafka takes it", more=limits.KIB,
    ),
    Relation(
        "keys of the OpenID provider", "answer of the OpenID provider",
        "so many keys are read, with certificates of the usual length",
        times=4 * limits.KIB,
    ),
    Relation("those of a store", "browsers that are told of orders", "no store has them all"),
    Relation("those of a table", "guests' phones that are told", "no table has them all"),
    Relation(
        "orders that a message to a guest's phone names", "message to a browser",
        "their numbers of 24 letters stand in it, encrypted", times=4 * 24 + 4, more=160,
    ),
    Relation(
        "message to a browser", "what push services take", "a push service passes it on",
    ),
    Relation(
        "endpoint of a browser", "request body", "a browser can be registered",
        more=2 * limits.KIB,
    ),
    Relation(
        "requests under way to browsers of one token's subject",
        "requests under way to one push service", "no subject takes up a whole push service",
    ),
    Relation(
        "requests under way to one push service", "requests under way to push services",
        "no push service takes up all requests", times=2,
    ),
    Relation("webhooks of a store", "webhooks", "no store has them all"),
    Relation("webhooks of a token's subject", "webhooks", "no subject has them all"),
    Relation("webhooks", "stores of all webhooks together", "each has at least one store"),
    Relation(
        "stores of a webhook", "stores of all webhooks together",
        "no subject takes up all of them", times=limits.WEBHOOKS_OF_SUBJECT,
    ),
    Relation(
        "stores of a webhook", "request body", "one of the most stores can be registered",
        times=68, more=limits.WEBHOOK_URL_BYTES + limits.WEBHOOK_TYPES * 68 + limits.KIB,
    ),
    Relation(
        "stores of a webhook", "access token",
        "an owner's token has room for so many stores, also with the longest names",
        # A name and its signs, a Korean subject that JSON escapes; base64 makes four of three.
        times=Fraction(4 * (64 + 3), 3), more=8 * contract.MAX_SUBJECT_CHARS + limits.KIB,
    ),
    Relation("URL of a webhook", "request body", "it can be registered", more=limits.KIB),
    Relation(
        "largest event", "events that a webhook's store reads at once, in bytes",
        "one is read at a time at least, whatever its size",
    ),
    Relation(
        "requests under way of one webhook", "requests under way to webhooks' receivers",
        "a receiver that fails leaves half to the others", times=2,
    ),
)  # fmt: skip
