"""The table: each size, where it is held, and what happens beyond it. Pure.

`docs/settings.md` is made from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from client_sdk.contract.cursor import MAX_CHANNELS
from client_sdk.contract.device import MAX_RECEIPTS_BODY_BYTES, MAX_SEEN_ORDERS
from client_sdk.contract.limits import (
    MAX_EDIT_BYTES,
    MAX_EDITS,
    MAX_EDITS_ANSWER_BYTES,
    MAX_EDITS_BODY_BYTES,
    MAX_EVENT_LINE_BYTES,
    MAX_METADATA_BYTES,
    MAX_ORDER_BYTES,
    MAX_PAGED_SYNC_BYTES,
    MAX_PAGES,
    MAX_SHOWN_VALUE_BYTES,
    MAX_SYNC_BODY_BYTES,
    MAX_SYNC_BYTES,
    MAX_TICKET_CHARS,
    MAX_VALUE_BYTES,
)
from client_sdk.contract.socket import MAX_INBOUND_BYTES, MAX_SHORT_BYTES
from client_sdk.contract.sse import MAX_EVENT_BYTES
from client_sdk.contract.sync import MAX_LIMIT, MAX_ORDERS
from server_common.limits import (
    ANSWER_BYTES,
    ANSWER_TO_EDIT_BYTES,
    ANSWERS_KEPT,
    ANSWERS_UNTOLD,
    BATCH_BODY_BYTES,
    BATCH_ORDERS,
    BODY_BYTES,
    CHANNEL_DOCUMENT_BYTES,
    CHANNEL_DOCUMENTS,
    CLOUDPRNT_POLL_BYTES,
    COMMAND_BYTES,
    CORE_HEAD_BYTES,
    DEAD_LETTER_BYTES,
    DEVICE_BOOTS,
    DEVICE_COMMAND_BYTES,
    DEVICE_DEAD_BYTES,
    DEVICE_EVENT_BYTES,
    DEVICE_MEASUREMENTS,
    DEVICE_MESSAGES_WAITING,
    DEVICE_MISSING,
    DEVICE_OPEN_COMMANDS,
    DEVICE_PAYLOAD_BYTES,
    DEVICE_RECORD_BYTES,
    DEVICE_TROUBLES,
    EVENT_LINE,
    EVENTS_HEAD_BYTES,
    EVENTS_QUERY_BYTES,
    FETCHED_BATCH_BYTES,
    GATHERED_ANSWER_BYTES,
    GUEST_PUSHES,
    GUEST_PUSHES_OF_TABLE,
    HISTORY_BYTES,
    HISTORY_ENTRIES,
    INGEST_BYTES,
    INGEST_RECORDS,
    KIB,
    LARGE_ANSWER_BURST_BYTES,
    LARGE_ANSWER_BYTES_PER_S,
    LARGE_ANSWERS_AT_ONCE,
    LARGE_ANSWERS_WAITING,
    LONGEST_CURSOR_IN_QUERY,
    LONGEST_TICKET,
    MIB,
    OPEN_STORE_BYTES,
    OPEN_STORE_ORDERS,
    OPEN_SUBJECT_BYTES,
    OPEN_SUBJECT_ORDERS,
    OPEN_TABLE_BYTES,
    OPEN_TABLE_ORDERS,
    OPS_POINT_BYTES,
    OPS_POINTS,
    PRINT_JOB_BYTES,
    PRINT_JOBS,
    PRINT_STEP_BYTES,
    PRODUCER_REQUEST_BYTES,
    PROVIDER_ANSWER_BYTES,
    PROVIDER_KEYS,
    PROVIDER_STORES,
    PROXY_BODY_BYTES,
    PROXY_HEAD_BYTES,
    PUBLICATION_BYTES,
    PUSH_ENDPOINT_BYTES,
    PUSH_MESSAGE_BYTES,
    PUSH_ORDERS_COUNTED,
    PUSH_ORDERS_NAMED,
    PUSHES,
    PUSHES_AT_ONCE,
    PUSHES_AT_ONCE_EACH,
    PUSHES_AT_ONCE_OWNER,
    PUSHES_OF_STORE,
    REVOCATIONS,
    REVOCATIONS_BY_COMMAND,
    SETTLING_BYTES,
    SETTLING_VERSIONS,
    SNAPSHOT_BYTES,
    SOCKET_MESSAGES_PER_S,
    SOCKET_MESSAGES_WAITING,
    SOCKET_RECEIPTS_WAITING,
    SOCKET_REQUESTS_PER_S,
    STORE_DEVICE_NAMES,
    STORE_DEVICES,
    SUBJECT_BODY_BURST_BYTES,
    SUBJECT_BODY_BYTES_PER_S,
    SUBJECT_CLIENTS,
    TOPIC_MESSAGE_BYTES,
    UNPACKED_BATCH_BYTES,
    UNSTORED_REPORTS,
    WEBHOOK_ANSWER_BYTES,
    WEBHOOK_EVENTS_READ,
    WEBHOOK_HEAD_BYTES,
    WEBHOOK_LANES,
    WEBHOOK_OLD_SECRETS,
    WEBHOOK_READ_BYTES,
    WEBHOOK_SET_ASIDE,
    WEBHOOK_STORES,
    WEBHOOK_TYPES,
    WEBHOOK_URL_BYTES,
    WEBHOOKS,
    WEBHOOKS_AT_ONCE,
    WEBHOOKS_AT_ONCE_EACH,
    WEBHOOKS_OF_STORE,
    WEBHOOKS_OF_SUBJECT,
    WHOLE_ANSWER_BYTES,
    WRITES_PER_BATCH,
)
from server_common.receipts import MAX_RECEIPTS


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


TABLE: Final[tuple[Limit, ...]] = (
    # What Core accepts.
    Limit("request head", CORE_HEAD_BYTES, "bytes", "Core", "400, and the connection is closed"),
    Limit("request body", BODY_BYTES, "bytes", "Core", "413 `too-large`"),
    Limit("batch body", BATCH_BODY_BYTES, "bytes", "Core", "413 `too-large`"),
    Limit("orders in a batch", BATCH_ORDERS, "count", "Core", "422 `invalid`"),
    Limit(
        "bodies of a subject", SUBJECT_BODY_BYTES_PER_S, "bytes/s", "Core",
        "429 `too-many-requests`",
    ),
    Limit(
        "bodies of a subject, in a burst", SUBJECT_BODY_BURST_BYTES, "bytes", "Core",
        "429 `too-many-requests`",
    ),
    Limit("sync body", MAX_SYNC_BODY_BYTES, "bytes", "Core", "413 `too-large`"),
    Limit("Kafka command", COMMAND_BYTES, "bytes", "ingest", "dead letter, `too-large`"),
    Limit(
        "records of Kafka being applied, of a partition", INGEST_RECORDS, "count", "ingest",
        "they wait in Kafka",
    ),
    Limit(
        "records of Kafka being applied, of a partition, in bytes", INGEST_BYTES, "bytes", "ingest",
        "they wait in Kafka; one that is larger is applied alone",
    ),
    Limit(
        "devices' messages of a partition that wait for a row", DEVICE_MESSAGES_WAITING, "count",
        "ingest", "the partition waits with them",
    ),
    Limit("dead letter", DEAD_LETTER_BYTES, "bytes", "ingest", "the headers are shortened"),
    Limit("proxy: request head", PROXY_HEAD_BYTES, "bytes", "nginx", "414 or 400"),
    Limit("proxy: request body", PROXY_BODY_BYTES, "bytes", "nginx", "413"),
    # What is stored.
    Limit("order", MAX_ORDER_BYTES, "bytes", "Core, ingest", "413 `too-large`, only that order"),
    Limit("writes in one transaction", WRITES_PER_BATCH, "count", "Core", "the next transaction"),
    Limit(
        "open orders of a table", OPEN_TABLE_ORDERS, "count", "Core, ingest",
        "409 `too-many-open`", "open_table_orders",
    ),
    Limit(
        "open orders of a table in bytes", OPEN_TABLE_BYTES, "bytes", "Core, ingest",
        "409 `too-many-open`", "open_table_bytes",
    ),
    Limit(
        "open orders of a subject in a store", OPEN_SUBJECT_ORDERS, "count", "Core, ingest",
        "409 `too-many-open`", "open_subject_orders",
    ),
    Limit(
        "open orders of a subject in a store in bytes", OPEN_SUBJECT_BYTES, "bytes",
        "Core, ingest", "409 `too-many-open`", "open_subject_bytes",
    ),
    Limit(
        "open orders of a store", OPEN_STORE_ORDERS, "count", "Core, ingest",
        "409 `too-many-open`", "open_store_orders",
    ),
    Limit(
        "open orders of a store in bytes", OPEN_STORE_BYTES, "bytes", "Core, ingest",
        "409 `too-many-open`", "open_store_bytes",
    ),
    Limit("edit", MAX_EDIT_BYTES, "bytes", "Core, SDK", "`refused`, only that edit"),
    Limit("metadata of an edit", MAX_METADATA_BYTES, "bytes", "Core, SDK", "`refused`"),
    Limit("edits in a request", MAX_EDITS, "count", "Core, SDK", "422 `invalid`"),
    Limit("edits body", MAX_EDITS_BODY_BYTES, "bytes", "Core", "413 `too-large`"),
    Limit("document", MAX_VALUE_BYTES, "bytes", "Core, SDK", "`refused`, only that edit"),
    Limit(
        "value in an event or a snapshot", MAX_SHOWN_VALUE_BYTES, "bytes", "Core",
        "it is left out: the client fetches it",
    ),
    Limit("entries of a history", HISTORY_ENTRIES, "count", "Core", "`next`, or `has_more`"),
    Limit("entries of a history in bytes", HISTORY_BYTES, "bytes", "Core", "`next`"),
    Limit(
        "answer to edits, SDK", MAX_EDITS_ANSWER_BYTES, "bytes", "SDK",
        "the answer counts as malformed",
    ),
    Limit(
        "versions that settle an edit", SETTLING_VERSIONS, "count", "Core",
        "the older ones count as forgotten",
    ),
    Limit(
        "versions that settle an edit in bytes", SETTLING_BYTES, "bytes", "Core",
        "the older ones count as forgotten",
    ),
    Limit(
        "answers of a client, acknowledged", ANSWERS_KEPT, "count", "Core",
        "an older edit that is repeated is answered with `forgotten`",
    ),
    Limit(
        "answers of a client, not acknowledged", ANSWERS_UNTOLD, "count", "Core",
        "an older edit that is repeated is answered with `forgotten`",
    ),
    Limit(
        "answer to an edit, kept", ANSWER_TO_EDIT_BYTES, "bytes", "follows from `document`",
        "cannot be",
    ),
    Limit(
        "clients of edits of a subject", SUBJECT_CLIENTS, "count", "Core",
        "409 `too-many-clients`; one that is not heard of for 90 days falls away. Of a guest's "
        "subject only those count that were heard of within the hour and since the last party left",
    ),
    Limit("documents of a channel", CHANNEL_DOCUMENTS, "count", "Core", "`too-many-documents`"),
    Limit(
        "documents of a channel in bytes", CHANNEL_DOCUMENT_BYTES, "bytes", "Core",
        "`too-many-documents`",
    ),
    # What devices say.
    Limit("picture of a device", SNAPSHOT_BYTES, "bytes", "gateway, devices", "dead letter"),
    Limit(
        "message of a device", DEVICE_EVENT_BYTES, "bytes", "gateway, devices",
        "dead letter, `too-large`",
    ),
    Limit(
        "message of a device with a picture", DEVICE_PAYLOAD_BYTES, "bytes", "gateway, devices",
        "dead letter, `too-large`",
    ),
    Limit(
        "Kafka record of a device's message", DEVICE_RECORD_BYTES, "bytes", "devices",
        "dead letter, `too-large`",
    ),
    Limit("dead letter of a device", DEVICE_DEAD_BYTES, "bytes", "gateway, devices", "it is cut"),
    Limit("troubles in a status", DEVICE_TROUBLES, "count", "gateway, devices", "dead letter"),
    Limit(
        "measurements of a device", DEVICE_MEASUREMENTS, "count", "devices",
        "another name is dropped and counted",
    ),
    Limit(
        "boots of a device that are told apart", DEVICE_BOOTS, "count", "devices",
        "an older one is refused, dead letter `too-old`",
    ),
    Limit(
        "messages of a boot that may be missing below its newest", DEVICE_MISSING, "count",
        "devices", "an older one is refused, dead letter `too-old`",
    ),
    Limit("devices of a store", STORE_DEVICES, "count", "Core", "409 `too-many-devices`"),
    Limit(
        "devices of a store, removed ones too", STORE_DEVICE_NAMES, "count", "Core",
        "409 `too-many-devices`: take a name that was there before",
    ),
    Limit(
        "open commands of a device", DEVICE_OPEN_COMMANDS, "count", "Core",
        "409 `too-many-commands`",
    ),
    Limit("command to a device", DEVICE_COMMAND_BYTES, "bytes", "Core", "413 `too-large`"),
    Limit(
        "documents of a printer's channel", PRINT_JOBS, "count", "Core",
        "orders wait in the log until there is room",
    ),
    Limit(
        "documents of a printer's channel in bytes", PRINT_JOB_BYTES, "bytes", "Core",
        "orders wait in the log until there is room",
    ),
    Limit("word of a printer's agent", PRINT_STEP_BYTES, "bytes", "Core", "413 `too-large`"),
    Limit("poll of a Star printer", CLOUDPRNT_POLL_BYTES, "bytes", "Core", "413 `too-large`"),
    # What the ops page remembers.
    Limit("points of the ops page", OPS_POINTS, "count", "Core", "the older ones are not shown"),
    Limit(
        "point of the ops page", OPS_POINT_BYTES, "bytes", "Core",
        "which kind each process was, then what was wrong, is left out",
    ),
    # What goes through Kafka to the event servers, and from them to clients.
    Limit("largest event", EVENT_LINE, "bytes", "follows from `order`", "cannot be"),
    Limit("publication", PUBLICATION_BYTES, "bytes", "relay", "the next publication"),
    Limit("producer's request", PRODUCER_REQUEST_BYTES, "bytes", "relay", "it is set aside"),
    Limit("topic: max.message.bytes", TOPIC_MESSAGE_BYTES, "bytes", "Kafka", "Kafka refuses it"),
    Limit(
        "batch read from Kafka", FETCHED_BATCH_BYTES, "bytes", "whoever reads Kafka",
        "its length counts as damaged, it is left out",
    ),
    Limit(
        "batch read from Kafka, unpacked", UNPACKED_BATCH_BYTES, "bytes", "whoever reads Kafka",
        "it is left out: a dead letter, or `sync-required`",
    ),
    Limit(
        "rings in all", 128 * MIB, "bytes", "event server",
        "the oldest go; who is behind them syncs", "events_ring_bytes",
    ),
    Limit(
        "what waits for one slow client", 256 * KIB, "bytes", "event server", "`bye: slow`",
        "events_buffer_bytes",
    ),
    Limit(
        "message from a socket", MAX_INBOUND_BYTES, "bytes", "event server",
        "the socket is closed, code 1009",
    ),
    Limit(
        "messages from a socket in a second", SOCKET_MESSAGES_PER_S, "count", "event server",
        "twice as many at once, then the socket is closed, code 1008",
    ),
    Limit(
        "messages to others, and subscriptions, of a socket in a second", SOCKET_REQUESTS_PER_S,
        "count", "event server", "twice as many at once, then `refused`: `too-many-requests`",
    ),
    Limit("message to others", MAX_SHORT_BYTES, "bytes", "event server", "`refused`: `too-large`"),
    Limit(
        "messages to others that wait for Kafka", SOCKET_MESSAGES_WAITING, "count", "event server",
        "`refused`: `unavailable`",
    ),
    Limit(
        "devices whose receipts wait for Kafka", SOCKET_RECEIPTS_WAITING, "count", "event server",
        "they are left out: the next sync says the same",
    ),
    Limit(
        "reports of devices that wait for Postgres", UNSTORED_REPORTS, "count", "Core",
        "they are left out: the next sync says the same",
    ),
    Limit("receipts in a record", MAX_RECEIPTS, "count", "event server", "the next record"),
    Limit("orders that a device has shown, in a request", MAX_SEEN_ORDERS, "count", "Core", "422"),
    Limit("receipts body", MAX_RECEIPTS_BODY_BYTES, "bytes", "Core", "413 `too-large`"),
    Limit("line of a stream", MAX_EVENT_LINE_BYTES, "bytes", "SSE libraries", "they give up"),
    Limit("event, SDK", MAX_EVENT_BYTES, "bytes", "SDK", "the stream counts as malformed"),
    # Fetch Sync.
    Limit("channels", MAX_CHANNELS, "count", "Core, event server, SDK", "400"),
    Limit("`limit`", MAX_LIMIT, "count", "Core", "400 or 422"),
    Limit("`orders`", MAX_ORDERS, "count", "Core", "400 or 422"),
    Limit(
        "answer from a shared read", GATHERED_ANSWER_BYTES, "bytes", "Core",
        "it is read by itself, as a large one",
    ),
    Limit("answer", ANSWER_BYTES, "bytes", "Core", "`has_more`, or the snapshot's `next`"),
    Limit("answer without `orders`", WHOLE_ANSWER_BYTES, "bytes", "Core", "413: ask with `orders`"),
    Limit("answer, SDK", MAX_SYNC_BYTES, "bytes", "SDK", "the answer counts as malformed"),
    Limit(
        "pages of a sync, SDK", MAX_PAGES, "count", "SDK", "the answer counts as malformed",
    ),
    Limit(
        "pages of a sync in bytes, SDK", MAX_PAGED_SYNC_BYTES, "bytes", "SDK",
        "the answer counts as malformed",
    ),
    Limit("large answers at once", LARGE_ANSWERS_AT_ONCE, "count", "Core", "they wait"),
    Limit(
        "large answers of a subject, waiting", LARGE_ANSWERS_WAITING, "count", "Core",
        "429 `too-many-requests`",
    ),
    Limit(
        "large answers of a subject", LARGE_ANSWER_BYTES_PER_S, "bytes/s", "Core",
        "they wait, then 429 `too-many-requests`",
    ),
    Limit(
        "large answers of a subject, in a burst", LARGE_ANSWER_BURST_BYTES, "bytes", "Core",
        "they wait, then 429 `too-many-requests`",
    ),
    Limit(
        "longest cursor, in a query", LONGEST_CURSOR_IN_QUERY, "bytes", "follows from `channels`",
        "cannot be",
    ),
    Limit("longest ticket", LONGEST_TICKET, "bytes", "follows from `channels`", "cannot be"),
    Limit("ticket", MAX_TICKET_CHARS, "bytes", "Core, event server", "`stream` is null"),
    # Who calls.
    Limit(
        "answer of the OpenID provider", PROVIDER_ANSWER_BYTES, "bytes", "Core",
        "the keys that are known go on",
    ),
    Limit(
        "keys of the OpenID provider", PROVIDER_KEYS, "count", "Core",
        "the keys that are known go on",
    ),
    Limit("stores of a provider's token", PROVIDER_STORES, "count", "Core", "403 `forbidden`"),
    Limit("revocations", REVOCATIONS, "count", "Core", "409 `too-many-revocations`"),
    Limit(
        "revocations beyond these", REVOCATIONS_BY_COMMAND, "count", "`yabam token revoke`",
        "409 `too-many-revocations`",
    ),
    Limit("browsers that are told of orders", PUSHES, "count", "Core", "409 `too-many-devices`"),
    Limit("those of a store", PUSHES_OF_STORE, "count", "Core", "409 `too-many-devices`"),
    Limit("guests' phones that are told", GUEST_PUSHES, "count", "Core", "409 `too-many-devices`"),
    Limit("those of a table", GUEST_PUSHES_OF_TABLE, "count", "Core", "409 `too-many-devices`"),
    Limit(
        "orders that a message to a guest's phone names", PUSH_ORDERS_NAMED, "count",
        "`yabam webhooks`", "it names the newest",
    ),
    Limit("endpoint of a browser", PUSH_ENDPOINT_BYTES, "bytes", "Core", "422"),
    Limit(
        "message to a browser", PUSH_MESSAGE_BYTES, "bytes", "`yabam webhooks`",
        "each is as long; push services take 4,096",
    ),
    Limit(
        "orders that a message to a browser counts", PUSH_ORDERS_COUNTED, "count",
        "`yabam webhooks`", "it says so many",
    ),
    Limit(
        "requests under way to push services", PUSHES_AT_ONCE, "count", "`yabam webhooks`",
        "browsers wait; half at most are of those that fail",
    ),
    Limit(
        "requests under way to one push service", PUSHES_AT_ONCE_EACH, "count",
        "each `yabam webhooks`", "its further browsers wait",
    ),
    Limit(
        "requests under way to browsers of one token's subject", PUSHES_AT_ONCE_OWNER, "count",
        "each `yabam webhooks`", "its further browsers wait",
    ),
    Limit("webhooks", WEBHOOKS, "count", "Core", "409 `too-many-webhooks`"),
    Limit("webhooks of a store", WEBHOOKS_OF_STORE, "count", "Core", "409 `too-many-webhooks`"),
    Limit(
        "webhooks of a token's subject", WEBHOOKS_OF_SUBJECT, "count", "Core",
        "409 `too-many-webhooks`",
    ),
    Limit("stores of a webhook", WEBHOOK_STORES, "count", "Core", "422"),
    Limit(
        "stores of all webhooks together", WEBHOOK_LANES, "count", "Core",
        "409 `too-many-webhooks`",
    ),
    Limit("URL of a webhook", WEBHOOK_URL_BYTES, "bytes", "Core", "422"),
    Limit("event types of a webhook", WEBHOOK_TYPES, "count", "Core", "422"),
    Limit(
        "answer of a webhook's receiver", WEBHOOK_ANSWER_BYTES, "bytes", "`yabam webhooks`",
        "the rest is not read",
    ),
    Limit(
        "all that a webhook's receiver says before the end of its answer's head",
        WEBHOOK_HEAD_BYTES, "bytes", "`yabam webhooks`", "the attempt has failed",
    ),
    Limit(
        "requests under way to webhooks' receivers", WEBHOOKS_AT_ONCE, "count",
        "`yabam webhooks`", "stores wait; half at most are of receivers that fail",
    ),
    Limit(
        "requests under way of one webhook", WEBHOOKS_AT_ONCE_EACH, "count",
        "each `yabam webhooks`", "its further stores wait",
    ),
    Limit(
        "events that a webhook's store reads at once", WEBHOOK_EVENTS_READ, "count",
        "`yabam webhooks`", "the others are read later",
    ),
    Limit(
        "events that a webhook's store reads at once, in bytes", WEBHOOK_READ_BYTES, "bytes",
        "`yabam webhooks`", "the others are read later; one is read in any case",
    ),
    Limit(
        "events of a webhook that are set aside", WEBHOOK_SET_ASIDE, "count", "`yabam webhooks`",
        "the store waits, and is parked after three days",
    ),
    Limit(
        "older secrets of a webhook that sign", WEBHOOK_OLD_SECRETS, "count", "Core",
        "the oldest ends at the next rotation",
    ),
    Limit("stream query", EVENTS_QUERY_BYTES, "bytes", "event server", "400"),
    Limit("stream request head", EVENTS_HEAD_BYTES, "bytes", "event server", "400"),
)  # fmt: skip
