"""The table: each size, where it is held, and what happens beyond it. Pure.

`docs/settings.md` is made from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from client_sdk.contract import limits as contract
from client_sdk.contract.cursor import MAX_CHANNELS
from client_sdk.contract.device import MAX_RECEIPTS_BODY_BYTES, MAX_SEEN_ORDERS
from client_sdk.contract.socket import MAX_INBOUND_BYTES, MAX_SHORT_BYTES
from client_sdk.contract.sse import MAX_EVENT_BYTES
from client_sdk.contract.sync import MAX_LIMIT, MAX_ORDERS
from server_common import limits
from server_common.kafka_records.receipts import MAX_RECEIPTS


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

    @property
    def shown(self) -> str:
        """Its name in a message."""
        return f"YABAM_{self.setting.upper()}" if self.setting else f"the limit {self.name!r}"


def size(name: str, value: int, where: str, beyond: str, setting: str | None = None) -> Limit:
    """A limit of bytes.

    Args:
        name: what is limited, in the words of the settings page.
        value: how many bytes.
        where: the part that holds the limit.
        beyond: what happens to what is larger.
        setting: the field of the settings that holds it; None: it is fixed.
    """
    return Limit(name, value, "bytes", where, beyond, setting)


def count(name: str, value: int, where: str, beyond: str, setting: str | None = None) -> Limit:
    """A limit of how many.

    Args:
        name: what is limited, in the words of the settings page.
        value: how many.
        where: the part that holds the limit.
        beyond: what happens with more.
        setting: the field of the settings that holds it; None: it is fixed.
    """
    return Limit(name, value, "count", where, beyond, setting)


def rate(name: str, value: int, where: str, beyond: str) -> Limit:
    """A limit of bytes a second.

    Args:
        name: what is limited, in the words of the settings page.
        value: how many bytes in each second.
        where: the part that holds the limit.
        beyond: what happens with more.
    """
    return Limit(name, value, "bytes/s", where, beyond)


TABLE: Final[tuple[Limit, ...]] = (
    # What Core accepts.
    size("request head", limits.CORE_HEAD_BYTES, "Core", "400, and the connection is closed"),
    size("request body", limits.BODY_BYTES, "Core", "413 `too-large`"),
    size("batch body", limits.BATCH_BODY_BYTES, "Core", "413 `too-large`"),
    count("orders in a batch", limits.BATCH_ORDERS, "Core", "422 `invalid`"),
    rate("bodies of a subject", limits.SUBJECT_BODY_BYTES_PER_S, "Core", "429 `too-many-requests`"),
    size(
        "bodies of a subject, in a burst", limits.SUBJECT_BODY_BURST_BYTES, "Core",
        "429 `too-many-requests`",
    ),
    size("sync body", contract.MAX_SYNC_BODY_BYTES, "Core", "413 `too-large`"),
    size("Kafka command", limits.COMMAND_BYTES, "ingest", "dead letter, `too-large`"),
    count(
        "records of Kafka being applied, of a partition", limits.INGEST_RECORDS, "ingest",
        "they wait in Kafka",
    ),
    size(
        "records of Kafka being applied, of a partition, in bytes", limits.INGEST_BYTES, "ingest",
        "they wait in Kafka; one that is larger is applied alone",
    ),
    count(
        "devices' messages of a partition that wait for a row", limits.DEVICE_MESSAGES_WAITING,
        "ingest", "the partition waits with them",
    ),
    size("dead letter", limits.DEAD_LETTER_BYTES, "ingest", "the headers are shortened"),
    size("proxy: request head", limits.PROXY_HEAD_BYTES, "nginx", "414 or 400"),
    size("proxy: request body", limits.PROXY_BODY_BYTES, "nginx", "413"),
    # What is stored.
    size("order", contract.MAX_ORDER_BYTES, "Core, ingest", "413 `too-large`, only that order"),
    count("writes in one transaction", limits.WRITES_PER_BATCH, "Core", "the next transaction"),
    count(
        "open orders of a table", limits.OPEN_TABLE_ORDERS, "Core, ingest",
        "409 `too-many-open`", "open_table_orders",
    ),
    size(
        "open orders of a table in bytes", limits.OPEN_TABLE_BYTES, "Core, ingest",
        "409 `too-many-open`", "open_table_bytes",
    ),
    count(
        "open orders of a subject in a store", limits.OPEN_SUBJECT_ORDERS, "Core, ingest",
        "409 `too-many-open`", "open_subject_orders",
    ),
    size(
        "open orders of a subject in a store in bytes", limits.OPEN_SUBJECT_BYTES, "Core, ingest",
        "409 `too-many-open`", "open_subject_bytes",
    ),
    count(
        "open orders of a store", limits.OPEN_STORE_ORDERS, "Core, ingest",
        "409 `too-many-open`", "open_store_orders",
    ),
    size(
        "open orders of a store in bytes", limits.OPEN_STORE_BYTES, "Core, ingest",
        "409 `too-many-open`", "open_store_bytes",
    ),
    size("edit", contract.MAX_EDIT_BYTES, "Core, SDK", "`refused`, only that edit"),
    size("metadata of an edit", contract.MAX_METADATA_BYTES, "Core, SDK", "`refused`"),
    count("edits in a request", contract.MAX_EDITS, "Core, SDK", "422 `invalid`"),
    size("edits body", contract.MAX_EDITS_BODY_BYTES, "Core", "413 `too-large`"),
    size("document", contract.MAX_VALUE_BYTES, "Core, SDK", "`refused`, only that edit"),
    size(
        "value in an event or a snapshot", contract.MAX_SHOWN_VALUE_BYTES, "Core",
        "it is left out: the client fetches it",
    ),
    count("entries of a history", limits.HISTORY_ENTRIES, "Core", "`next`, or `has_more`"),
    size("entries of a history in bytes", limits.HISTORY_BYTES, "Core", "`next`"),
    size(
        "answer to edits, SDK", contract.MAX_EDITS_ANSWER_BYTES, "SDK",
        "the answer counts as malformed",
    ),
    count(
        "versions that settle an edit", limits.SETTLING_VERSIONS, "Core",
        "the older ones count as forgotten",
    ),
    size(
        "versions that settle an edit in bytes", limits.SETTLING_BYTES, "Core",
        "the older ones count as forgotten",
    ),
    count(
        "answers of a client, acknowledged", limits.ANSWERS_KEPT, "Core",
        "an older edit that is repeated is answered with `forgotten`",
    ),
    count(
        "answers of a client, not acknowledged", limits.ANSWERS_UNTOLD, "Core",
        "an older edit that is repeated is answered with `forgotten`",
    ),
    size(
        "answer to an edit, kept", limits.ANSWER_TO_EDIT_BYTES, "follows from `document`",
        "cannot be",
    ),
    count(
        "clients of edits of a subject", limits.SUBJECT_CLIENTS, "Core",
        "409 `too-many-clients`; one that is not heard of for 90 days falls away. Of a guest's "
        "subject only those count that were heard of within the hour and since the last party left",
    ),
    count("documents of a channel", limits.CHANNEL_DOCUMENTS, "Core", "`too-many-documents`"),
    size(
        "documents of a channel in bytes", limits.CHANNEL_DOCUMENT_BYTES, "Core",
        "`too-many-documents`",
    ),
    # What devices say.
    size("picture of a device", limits.SNAPSHOT_BYTES, "gateway, devices", "dead letter"),
    size(
        "message of a device", limits.DEVICE_EVENT_BYTES, "gateway, devices",
        "dead letter, `too-large`",
    ),
    size(
        "message of a device with a picture", limits.DEVICE_PAYLOAD_BYTES, "gateway, devices",
        "dead letter, `too-large`",
    ),
    size(
        "Kafka record of a device's message", limits.DEVICE_RECORD_BYTES, "devices",
        "dead letter, `too-large`",
    ),
    size("dead letter of a device", limits.DEVICE_DEAD_BYTES, "gateway, devices", "it is cut"),
    count("troubles in a status", limits.DEVICE_TROUBLES, "gateway, devices", "dead letter"),
    count(
        "measurements of a device", limits.DEVICE_MEASUREMENTS, "devices",
        "another name is dropped and counted",
    ),
    count(
        "boots of a device that are told apart", limits.DEVICE_BOOTS, "devices",
        "an older one is refused, dead letter `too-old`",
    ),
    count(
        "messages of a boot that may be missing below its newest", limits.DEVICE_MISSING, "devices",
        "an older one is refused, dead letter `too-old`",
    ),
    count("devices of a store", limits.STORE_DEVICES, "Core", "409 `too-many-devices`"),
    count(
        "devices of a store, removed ones too", limits.STORE_DEVICE_NAMES, "Core",
        "409 `too-many-devices`: take a name that was there before",
    ),
    count(
        "open commands of a device", limits.DEVICE_OPEN_COMMANDS, "Core", "409 `too-many-commands`",
    ),
    size("command to a device", limits.DEVICE_COMMAND_BYTES, "Core", "413 `too-large`"),
    count(
        "documents of a printer's channel", limits.PRINT_JOBS, "Core",
        "orders wait in the log until there is room",
    ),
    size(
        "documents of a printer's channel in bytes", limits.PRINT_JOB_BYTES, "Core",
        "orders wait in the log until there is room",
    ),
    size("word of a printer's agent", limits.PRINT_STEP_BYTES, "Core", "413 `too-large`"),
    size("poll of a Star printer", limits.CLOUDPRNT_POLL_BYTES, "Core", "413 `too-large`"),
    # What the ops page remembers.
    count("points of the ops page", limits.OPS_POINTS, "Core", "the older ones are not shown"),
    size(
        "point of the ops page", limits.OPS_POINT_BYTES, "Core",
        "which kind each process was, then what was wrong, is left out",
    ),
    # What goes through Kafka to the event servers, and from them to clients.
    size("largest event", limits.EVENT_LINE, "follows from `order`", "cannot be"),
    size("publication", limits.PUBLICATION_BYTES, "relay", "the next publication"),
    size("record of an event", limits.EVENT_RECORD_BYTES, "relay", "it is set aside"),
    size("producer's request", limits.PRODUCER_REQUEST_BYTES, "gateway", "cannot be"),
    size("topic: max.message.bytes", limits.TOPIC_MESSAGE_BYTES, "Kafka", "Kafka refuses it"),
    size(
        "batch read from Kafka", limits.FETCHED_BATCH_BYTES, "whoever reads Kafka",
        "its length counts as damaged, it is left out",
    ),
    size(
        "batch read from Kafka, unpacked", limits.UNPACKED_BATCH_BYTES, "whoever reads Kafka",
        "it is left out: a dead letter, or `sync-required`",
    ),
    size(
        "rings in all", limits.RINGS_BYTES, "event server",
        "the oldest go; who is behind them syncs", "events_ring_bytes",
    ),
    size(
        "what waits for one slow client", limits.SLOW_CLIENT_BYTES, "event server",
        "`bye: slow`", "events_buffer_bytes",
    ),
    size(
        "message from a socket", MAX_INBOUND_BYTES, "event server",
        "the socket is closed, code 1009",
    ),
    count(
        "messages from a socket in a second", limits.SOCKET_MESSAGES_PER_S, "event server",
        "twice as many at once, then the socket is closed, code 1008",
    ),
    count(
        "messages to others, and subscriptions, of a socket in a second",
        limits.SOCKET_REQUESTS_PER_S, "event server",
        "twice as many at once, then `refused`: `too-many-requests`",
    ),
    size("message to others", MAX_SHORT_BYTES, "event server", "`refused`: `too-large`"),
    count(
        "messages to others that wait for Kafka", limits.SOCKET_MESSAGES_WAITING, "event server",
        "`refused`: `unavailable`",
    ),
    count(
        "devices whose receipts wait for Kafka", limits.SOCKET_RECEIPTS_WAITING, "event server",
        "they are left out: the next sync says the same",
    ),
    count(
        "reports of devices that wait for Postgres", limits.UNSTORED_REPORTS, "Core",
        "they are left out: the next sync says the same",
    ),
    count("receipts in a record", MAX_RECEIPTS, "event server", "the next record"),
    count("orders that a device has shown, in a request", MAX_SEEN_ORDERS, "Core", "422"),
    size("receipts body", MAX_RECEIPTS_BODY_BYTES, "Core", "413 `too-large`"),
    size("line of a stream", contract.MAX_EVENT_LINE_BYTES, "SSE libraries", "they give up"),
    size("event, SDK", MAX_EVENT_BYTES, "SDK", "the stream counts as malformed"),
    # Fetch Sync.
    count("channels", MAX_CHANNELS, "Core, event server, SDK", "400"),
    count("`limit`", MAX_LIMIT, "Core", "400 or 422"),
    count("`orders`", MAX_ORDERS, "Core", "400 or 422"),
    size(
        "answer from a shared read", limits.GATHERED_ANSWER_BYTES, "Core",
        "it is read by itself, as a large one",
    ),
    size("answer", limits.ANSWER_BYTES, "Core", "`has_more`, or the snapshot's `next`"),
    size("answer without `orders`", limits.WHOLE_ANSWER_BYTES, "Core", "413: ask with `orders`"),
    size("answer, SDK", contract.MAX_SYNC_BYTES, "SDK", "the answer counts as malformed"),
    count("pages of a sync, SDK", contract.MAX_PAGES, "SDK", "the answer counts as malformed"),
    size(
        "pages of a sync in bytes, SDK", contract.MAX_PAGED_SYNC_BYTES, "SDK",
        "the answer counts as malformed",
    ),
    count("large answers at once", limits.LARGE_ANSWERS_AT_ONCE, "Core", "they wait"),
    count(
        "large answers of a subject, waiting", limits.LARGE_ANSWERS_WAITING, "Core",
        "429 `too-many-requests`",
    ),
    rate(
        "large answers of a subject", limits.LARGE_ANSWER_BYTES_PER_S, "Core",
        "they wait, then 429 `too-many-requests`",
    ),
    size(
        "large answers of a subject, in a burst", limits.LARGE_ANSWER_BURST_BYTES, "Core",
        "they wait, then 429 `too-many-requests`",
    ),
    size(
        "longest cursor, in a query", limits.LONGEST_CURSOR_IN_QUERY, "follows from `channels`",
        "cannot be",
    ),
    size("longest ticket", limits.LONGEST_TICKET, "follows from `channels`", "cannot be"),
    size("ticket", contract.MAX_TICKET_CHARS, "Core, event server", "`stream` is null"),
    # Who calls.
    size(
        "answer of the OpenID provider", limits.PROVIDER_ANSWER_BYTES, "Core",
        "the keys that are known go on",
    ),
    count(
        "keys of the OpenID provider", limits.PROVIDER_KEYS, "Core",
        "the keys that are known go on",
    ),
    count("stores of a provider's token", limits.PROVIDER_STORES, "Core", "403 `forbidden`"),
    count("revocations", limits.REVOCATIONS, "Core", "409 `too-many-revocations`"),
    count(
        "revocations beyond these", limits.REVOCATIONS_BY_COMMAND, "`yabam token revoke`",
        "409 `too-many-revocations`",
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
    count(
        "orders that a message to a browser counts", limits.PUSH_ORDERS_COUNTED, "`yabam webhooks`",
        "it says so many",
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
    count("event types of a webhook", limits.WEBHOOK_TYPES, "Core", "422"),
    size(
        "answer of a webhook's receiver", limits.WEBHOOK_ANSWER_BYTES, "`yabam webhooks`",
        "the rest is not read",
    ),
    size(
        "all that a webhook's receiver says before the end of its answer's head",
        limits.WEBHOOK_HEAD_BYTES, "`yabam webhooks`", "the attempt has failed",
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
    ),
    size(
        "events that a webhook's store reads at once, in bytes", limits.WEBHOOK_READ_BYTES,
        "`yabam webhooks`", "the others are read later; one is read in any case",
    ),
    count(
        "events of a webhook that are set aside", limits.WEBHOOK_SET_ASIDE, "`yabam webhooks`",
        "the store waits, and is parked after three days",
    ),
    count(
        "older secrets of a webhook that sign", limits.WEBHOOK_OLD_SECRETS, "Core",
        "the oldest ends at the next rotation",
    ),
    size("stream query", limits.EVENTS_QUERY_BYTES, "event server", "400"),
    size("stream request head", limits.EVENTS_HEAD_BYTES, "event server", "400"),
)  # fmt: skip
