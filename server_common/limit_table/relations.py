"""How the limits of sizes and counts must fit each other. Pure.

If an earlier limit were larger than a later one, data would be accepted that can never be
delivered. Times are checked where they are set, as in `event_server/settings.py`.
"""

from __future__ import annotations

from typing import Final

from client_sdk.contract import limits as contract
from client_sdk.contract.cursor import MAX_CHANNELS
from server_common import limits
from server_common.limit_table import callers, devices, programs
from server_common.limit_table.limit import Relation

RELATIONS: Final[tuple[Relation, ...]] = (
    Relation("order", "request body", "each order that is taken can be sent by itself"),
    Relation("order", "Kafka command", "each order that is taken can be sent through Kafka"),
    Relation("Kafka command", "dead letter", "what is refused can be kept", more=16 * limits.KIB),
    Relation("batch body", "proxy: request body", "the proxy lets pass what Core takes"),
    Relation("edits body", "proxy: request body", "the proxy lets pass what Core takes"),
    Relation("sync body", "proxy: request body", "the proxy lets pass what Core takes"),
    Relation("request head", "proxy: request head", "the proxy lets pass what Core takes"),
    Relation("stream request head", "proxy: request head", "the proxy lets pass what events takes"),
    Relation("orders in a batch", "writes in one transaction", "a batch is written in one go"),
    Relation(
        "edit", "edits body", "each edit that is taken can be sent by itself", more=limits.KIB
    ),
    Relation("metadata of an edit", "edit", "an edit has room for its metadata", more=limits.KIB),
    Relation("value in an event or a snapshot", "document", "what is shown is what there is"),
    Relation(
        "edits in a request", "answer to edits, SDK", "the SDK reads what became of all edits",
        # What a resolver needs, and the pointers of all that was put aside.
        times=3 * contract.MAX_SHOWN_VALUE_BYTES + contract.MAX_EDIT_BYTES + 4 * limits.KIB,
    ),
    Relation(
        "document", "answer to edits, SDK", "the SDK reads each document",
        more=limits.DOCUMENT_FACTS_BYTES,
    ),
    Relation(
        "entries of a history in bytes", "answer to edits, SDK",
        "the SDK reads each page of a history, and the first entry however large it is",
        times=2, more=2 * contract.MAX_EDIT_BYTES,
    ),
    Relation(
        "document", "versions that settle an edit in bytes", "the newest version is always read",
        times=2,
    ),
    Relation(
        "edits in a request", "answers of a client, not acknowledged",
        "what was just answered can be repeated",
    ),
    Relation(
        "documents of a channel in bytes", "answer",
        "all documents of a channel stand in one page",
        more=limits.CHANNEL_DOCUMENTS * limits.DOCUMENT_FACTS_BYTES,
    ),
    Relation(
        "order", "largest event", "a later reason and the event around it have room",
        more=contract.REASON_BYTES + contract.ENVELOPE_BYTES,
    ),
    Relation(
        "value in an event or a snapshot", "line of a stream",
        "a document's event, with its diff and what stands beside it, is one line", times=2,
        more=2 * contract.MAX_METADATA_BYTES + contract.ENVELOPE_BYTES + limits.KIB,
    ),
    Relation("largest event", "line of a stream", "clients with a limit of 64 KiB a line read it"),
    Relation("largest event", "event, SDK", "the SDK reads it"),
    Relation(
        "largest event", "publication", "the store's and the table's line make one record",
        times=2, more=limits.RECORD_HEADER_BYTES,
    ),
    Relation(
        "largest event", "record of an event", "the relay sends each event that Core takes",
        times=2, more=limits.RECORD_HEADER_BYTES,
    ),
    Relation(
        "record of an event", "topic: max.message.bytes", "Kafka takes a record that stands alone",
        more=4 * limits.KIB,
    ),
    Relation("publication", "topic: max.message.bytes", "Kafka takes what the relay publishes"),
    Relation(
        "topic: max.message.bytes", "batch read from Kafka", "what Kafka keeps is read",
    ),
    Relation(
        "dead letter", "batch read from Kafka, unpacked", "what Kafka keeps is read, packed or not",
    ),
    Relation(
        "batch read from Kafka, unpacked", "batch read from Kafka", "not packed it is the same",
    ),
    Relation(
        "largest event", "what waits for one slow client", "an event alone makes nobody slow",
        more=limits.FRAME_HEAD_BYTES,
    ),
    Relation(
        "largest event", "rings in all", "a ring holds any event", more=limits.FRAME_HEAD_BYTES
    ),
    Relation(
        "order", "open orders of a table in bytes", "a table can order", more=contract.REASON_BYTES
    ),
    Relation("open orders of a table", "open orders of a subject in a store", "tables come first"),
    Relation(
        "open orders of a table in bytes", "open orders of a subject in a store in bytes",
        "tables come first",
    ),
    Relation(
        "open orders of a subject in a store", "open orders of a store",
        "no subject takes up a whole store",
    ),
    Relation(
        "open orders of a subject in a store in bytes", "open orders of a store in bytes",
        "no subject takes up a whole store",
    ),
    Relation(
        "open orders of a store in bytes", "answer without `orders`",
        "a whole snapshot fits one answer, with what two processes may write at once",
        more=2 * limits.WRITES_PER_BATCH * contract.MAX_ORDER_BYTES,
    ),
    Relation(
        "largest event", "answer from a shared read", "an answer brings its reader further",
        more=limits.ANSWER_FRAME_BYTES_EACH,
    ),
    Relation("answer from a shared read", "answer", "a large answer is the larger one"),
    Relation("answer", "answer without `orders`", "one page is no more than the whole"),
    Relation(
        "answer without `orders`", "answer, SDK", "the SDK reads every answer",
        more=MAX_CHANNELS * limits.ANSWER_FRAME_BYTES_EACH + limits.LONGEST_TICKET + limits.MIB,
    ),
    Relation(
        "answer without `orders`", "pages of a sync in bytes, SDK",
        "the SDK reads a snapshot in pages that it could read whole",
    ),
    Relation(
        "records of Kafka being applied, of a partition",
        "records of Kafka being applied, of a partition, in bytes", "many small ones fit",
        times=limits.KIB,
    ),
    Relation(
        "Kafka command", "records of Kafka being applied, of a partition, in bytes",
        "commands of several keys are applied at once", times=16,
    ),
    Relation(
        "longest cursor, in a query", "stream query", "it goes with the ticket",
        more=limits.LONGEST_TICKET,
    ),
    Relation(
        "channels", "answer without `orders`", "one event of each channel fits one answer",
        times=limits.EVENT_LINE,
    ),
    Relation(
        "answer without `orders`", "large answers of a subject, in a burst",
        "two devices of a subject can start at once", times=2,
    ),
    Relation("longest ticket", "ticket", "a client of the most channels can be pushed to"),
    Relation(
        "ticket", "stream query", "the query has room for a ticket and a cursor",
        more=limits.LONGEST_CURSOR_IN_QUERY + limits.KIB,
    ),
    Relation(
        "stream query", "stream request head", "the head has room for the query and headers",
        more=limits.OTHER_HEAD_BYTES,
    ),
    Relation(
        "channels", "request head", "a GET can name all channels and a cursor of them",
        more=limits.LONGEST_CURSOR_IN_QUERY
        + limits.LONGEST_CHANNELS_IN_QUERY
        + limits.OTHER_HEAD_BYTES,
    ),
    Relation(
        "channels", "sync body", "a POST can name all channels",
        times=contract.LONGEST_JSON_BYTES_EACH, more=limits.KIB,
    ),
    Relation(
        "idempotency key", "headers beside the query", "it goes with a token",
        more=12 * limits.KIB,
    ),
    Relation("request body", "proxy: request body", "the proxy lets pass what Core takes"),
    Relation("receipts body", "proxy: request body", "the proxy lets pass what Core takes"),
    Relation(
        "headers beside the query", "request head", "a request without a query is read", times=2,
    ),
    Relation(
        "batch body", "bodies of a subject, in a burst", "a batch is taken of one who was quiet",
    ),
    Relation(
        "edits body", "bodies of a subject, in a burst", "edits are taken of one who was quiet",
    ),
    Relation(
        "bodies of a subject", "bodies of a subject, in a burst",
        "what a second allows can be sent once a second",
    ),
    Relation(
        "commands that wait for one locked row", "commands that wait for locked rows",
        "one row does not take up the place of all", times=2,
    ),
    Relation(
        "commands that wait for locked rows", "commands under way",
        "locked rows do not take up the place of all commands", times=2,
    ),
    Relation(
        "answers of a client, acknowledged", "answers of a client, not acknowledged",
        "an acknowledgement makes nothing kept for longer",
    ),
    Relation(
        "document", "answer to an edit, kept", "it has the document that its client saw",
        more=contract.MAX_EDIT_BYTES,
    ),
    Relation("answer to an edit, kept", "answer to edits, SDK", "the SDK reads it"),
    Relation(
        "documents of a channel", "answer", "the names of all documents stand in one page",
        times=limits.DOCUMENT_FACTS_BYTES,
    ),
    Relation("publication", "relay's request", "the relay sends each"),
    Relation("record of an event", "relay's request", "the relay sends each"),
    Relation(
        "message to others", "message from a socket", "its channel and name have room",
        more=limits.KIB,
    ),
    Relation(
        "message to others", "record of a message to others", "its channel and sender have room",
        more=2 * limits.KIB,
    ),
    Relation("record of a message to others", "topic: max.message.bytes", "Kafka takes it"),
    Relation(
        "messages to others, and subscriptions, of a socket in a second",
        "messages from a socket in a second", "receipts have room beside them", times=2,
    ),
    Relation(
        "receipts in a record", "producer's request", "a record of the longest names is sent",
        times=limits.LONGEST_RECEIPT, more=limits.KIB,
    ),
    Relation(
        "channels", "receipts body", "a cursor of all channels can be told",
        times=contract.LONGEST_JSON_BYTES_EACH, more=limits.KIB,
    ),
    Relation(
        "orders that a device has shown, in a request", "request body", "so many ids fit a body",
        times=40, more=limits.KIB,
    ),
    Relation(
        "answer", "large answers of a subject", "a page a second is read by whoever is in need",
    ),
    Relation(
        "large answers of a subject", "large answers of a subject, in a burst",
        "what a second allows can be read once a second",
    ),
    *devices.RELATIONS,
    *callers.RELATIONS,
    *programs.RELATIONS,
)  # fmt: skip
