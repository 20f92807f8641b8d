"""The table: each size, where it is held, and what happens beyond it. Pure.

`docs/settings.md` is made from it.
"""

from __future__ import annotations

from typing import Final

from client_sdk.contract import limits as contract
from client_sdk.contract.cursor import MAX_CHANNELS
from client_sdk.contract.device import MAX_RECEIPTS_BODY_BYTES, MAX_SEEN_ORDERS
from client_sdk.contract.socket import MAX_INBOUND_BYTES, MAX_SHORT_BYTES
from client_sdk.contract.sse import MAX_EVENT_BYTES
from client_sdk.contract.sync import MAX_LIMIT, MAX_ORDERS
from server_common import limits
from server_common.kafka_records.receipts import MAX_RECEIPTS
from server_common.limit_table import callers, devices, programs
from server_common.limit_table.limit import Limit, count, rate, size

TABLE: Final[tuple[Limit, ...]] = (
    # What Core accepts.
    size("request head", limits.CORE_HEAD_BYTES, "Core", "400, and the connection is closed"),
    size("request body", limits.BODY_BYTES, "Core", "413 `too-large`"),
    size(
        "headers beside the query", limits.OTHER_HEAD_BYTES, "follows from `request head`",
        "400, and the connection is closed",
    ),
    size(
        "what waits behind a request on a connection", 64 * limits.KIB, "Core",
        "no more is read until the request is answered",
        alone="what is larger is read later, in parts",
        held="server_common/http/request_heads.py:MAX_WAITING_BYTES",
    ),
    size(
        "idempotency key", 255, "Core, ingest", "400 or 422",
        held="core_api/orders/idempotency.py:MAX_KEY_CHARS",
    ),
    size("batch body", limits.BATCH_BODY_BYTES, "Core", "413 `too-large`"),
    count(
        "commands under way", 1000, "Core", "503", "max_commands",
    ),
    count(
        "requests of a subject at once", 5000, "Core", "429 `too-many-requests`", "rate_burst",
        alone="it counts requests of every size; `bodies of a subject` counts their bytes",
    ),
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
        alone="their bytes are those of records being applied",
    ),
    size("dead letter", limits.DEAD_LETTER_BYTES, "ingest", "the headers are shortened"),
    size("proxy: request head", limits.PROXY_HEAD_BYTES, "nginx", "414 or 400"),
    size("proxy: request body", limits.PROXY_BODY_BYTES, "nginx", "413"),
    # What is stored.
    size("order", contract.MAX_ORDER_BYTES, "Core, ingest", "413 `too-large`, only that order"),
    count(
        "changes of one order that wait", 250, "Core", "503",
        alone="it bounds memory: each is a request that a body's limit bounds",
        held="core_api/orders/service.py:MAX_OF_AN_ORDER",
    ),
    count(
        "commands that wait for one locked row", 100, "Core", "503",
        held="core_api/postgres/lock_queues.py:MAX_IN_A_QUEUE",
    ),
    count(
        "commands that wait for locked rows", 400, "Core", "503",
        held="core_api/postgres/lock_queues.py:MAX_ASIDE",
    ),
    count(
        "items of an order", 200, "Core, ingest", "422", alone="`order` bounds their bytes",
        held="core_api/orders/lifecycle.py:MAX_ITEMS",
    ),
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
    count(
        "entries of a history", limits.HISTORY_ENTRIES, "Core", "`next`, or `has_more`",
        alone="a page ends by this count or by its bytes, whichever comes first",
    ),
    size("entries of a history in bytes", limits.HISTORY_BYTES, "Core", "`next`"),
    size(
        "answer to edits, SDK", contract.MAX_EDITS_ANSWER_BYTES, "SDK",
        "the answer counts as malformed",
    ),
    count(
        "versions that settle an edit", limits.SETTLING_VERSIONS, "Core",
        "the older ones count as forgotten",
        alone="they end by this count or by their bytes, whichever comes first",
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
        alone="each is a row in Postgres, which its own request reads",
    ),
    count("documents of a channel", limits.CHANNEL_DOCUMENTS, "Core", "`too-many-documents`"),
    size(
        "documents of a channel in bytes", limits.CHANNEL_DOCUMENT_BYTES, "Core",
        "`too-many-documents`",
    ),
    *devices.ROWS,
    # What goes through Kafka to the event servers, and from them to clients.
    size("largest event", limits.EVENT_LINE, "follows from `order`", "cannot be"),
    size(
        "relay's request", 16 << 20, "relay", "the other partitions' go in the next one",
        held="core_api/kafka/publisher.py:_MAX_REQUEST_BYTES",
    ),
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
    count(
        "events in a channel's ring", 256, "event server",
        "the oldest go; who is behind them syncs",
        "events_ring_events", alone="`rings in all` bounds the bytes",
    ),
    count(
        "streams of an event server", 20_000, "event server", "503", "events_max_streams",
        alone="it bounds memory, with `what waits for one slow client`",
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
    size(
        "record of a message to others", 4 * MAX_SHORT_BYTES, "event server",
        "it counts as malformed", held="event_server/sockets/talk.py:_MAX_RECORD_BYTES",
    ),
    size("message to others", MAX_SHORT_BYTES, "event server", "`refused`: `too-large`"),
    count(
        "messages to others that wait for Kafka", limits.SOCKET_MESSAGES_WAITING, "event server",
        "`refused`: `unavailable`",
        alone="it bounds memory: each has the size of a record of one",
    ),
    count(
        "devices whose receipts wait for Kafka", limits.SOCKET_RECEIPTS_WAITING, "event server",
        "they are left out: the next sync says the same",
        alone="it bounds memory: each has a few hundred bytes",
    ),
    count(
        "reports of devices that wait for Postgres", limits.UNSTORED_REPORTS, "Core",
        "they are left out: the next sync says the same",
        alone="it bounds memory: each has a few hundred bytes",
    ),
    count("receipts in a record", MAX_RECEIPTS, "event server", "the next record"),
    count("orders that a device has shown, in a request", MAX_SEEN_ORDERS, "Core", "422"),
    size("receipts body", MAX_RECEIPTS_BODY_BYTES, "Core", "413 `too-large`"),
    size("line of a stream", contract.MAX_EVENT_LINE_BYTES, "SSE libraries", "they give up"),
    size("event, SDK", MAX_EVENT_BYTES, "SDK", "the stream counts as malformed"),
    # Fetch Sync.
    count(
        "syncs that wait at once", 20_000, "Core", "503", "max_waiting",
        alone="those that wait hold a connection and nothing else",
    ),
    count(
        "syncs that read at once", 2000, "Core", "503", "max_syncs",
        alone="`large answers at once` bounds the memory of those that are large",
    ),
    count("channels", MAX_CHANNELS, "Core, event server, SDK", "400"),
    count(
        "`limit`", MAX_LIMIT, "Core", "400 or 422",
        alone="an answer ends by its bytes",
    ),
    count(
        "`orders`", MAX_ORDERS, "Core", "400 or 422",
        alone="an answer ends by its bytes",
    ),
    size(
        "answer from a shared read", limits.GATHERED_ANSWER_BYTES, "Core",
        "it is read by itself, as a large one",
    ),
    size("answer", limits.ANSWER_BYTES, "Core", "`has_more`, or the snapshot's `next`"),
    size("answer without `orders`", limits.WHOLE_ANSWER_BYTES, "Core", "413: ask with `orders`"),
    size("answer, SDK", contract.MAX_SYNC_BYTES, "SDK", "the answer counts as malformed"),
    count(
        "pages of a sync, SDK", contract.MAX_PAGES, "SDK", "the answer counts as malformed",
        alone="it ends pages without end; the bytes of a sync end the others",
    ),
    size(
        "pages of a sync in bytes, SDK", contract.MAX_PAGED_SYNC_BYTES, "SDK",
        "the answer counts as malformed",
    ),
    count(
        "large answers at once", limits.LARGE_ANSWERS_AT_ONCE, "Core", "they wait",
        alone="it bounds memory: so many whole answers",
    ),
    count(
        "large answers of a subject, waiting", limits.LARGE_ANSWERS_WAITING, "Core",
        "429 `too-many-requests`",
        alone="those that wait hold nothing yet",
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
    size("stream query", limits.EVENTS_QUERY_BYTES, "event server", "400"),
    size("stream request head", limits.EVENTS_HEAD_BYTES, "event server", "400"),
    *callers.ROWS,
    *programs.ROWS,
)  # fmt: skip
