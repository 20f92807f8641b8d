"""For each limit, those behind it that it must fit, and the least that each may be by default.

It is written by hand, beside the relations: a relation that goes or that gets weaker is seen here.
"""

from __future__ import annotations

from typing import Final

BEHIND: Final[dict[str, dict[str, int]]] = {
    "request head": {
        "proxy: request head": 262_144,
    },
    "request body": {
        "proxy: request body": 65_536,
    },
    "headers beside the query": {
        "request head": 32_768,
    },
    "batch body": {
        "proxy: request body": 1_048_576,
        "bodies of a subject, in a burst": 1_048_576,
    },
    "orders in a batch": {
        "writes in one transaction": 100,
    },
    "bodies of a subject": {
        "bodies of a subject, in a burst": 2_097_152,
    },
    "sync body": {
        "proxy: request body": 131_072,
    },
    "Kafka command": {
        "dead letter": 81_920,
        "records of Kafka being applied, of a partition, in bytes": 1_048_576,
    },
    "records of Kafka being applied, of a partition": {
        "records of Kafka being applied, of a partition, in bytes": 512_000,
    },
    "dead letter": {
        "batch read from Kafka, unpacked": 4_194_304,
    },
    "order": {
        "request body": 59_392,
        "Kafka command": 59_392,
        "largest event": 62_807,
        "open orders of a table in bytes": 62_456,
        "command in the SDK's queue": 59_392,
        "answer to a producer": 63_480,
    },
    "commands that wait for one locked row": {
        "commands that wait for locked rows": 200,
    },
    "commands that wait for locked rows": {
        "commands under way": 800,
    },
    "open orders of a table": {
        "open orders of a subject in a store": 200,
    },
    "open orders of a table in bytes": {
        "open orders of a subject in a store in bytes": 1_048_576,
    },
    "open orders of a subject in a store": {
        "open orders of a store": 8_000,
    },
    "open orders of a subject in a store in bytes": {
        "open orders of a store in bytes": 25_165_824,
    },
    "open orders of a store in bytes": {
        "answer without `orders`": 45_432_832,
    },
    "edit": {
        "edits body": 66_560,
        "edits that the SDK sends at once": 66_560,
    },
    "metadata of an edit": {
        "edit": 5_120,
    },
    "edits in a request": {
        "answer to edits, SDK": 11_878_400,
        "answers of a client, not acknowledged": 100,
    },
    "edits body": {
        "proxy: request body": 1_048_576,
        "bodies of a subject, in a burst": 1_048_576,
    },
    "document": {
        "answer to edits, SDK": 264_192,
        "versions that settle an edit in bytes": 524_288,
        "answer to an edit, kept": 327_680,
    },
    "value in an event or a snapshot": {
        "document": 16_384,
        "line of a stream": 42_335,
    },
    "entries of a history in bytes": {
        "answer to edits, SDK": 2_228_224,
    },
    "answers of a client, acknowledged": {
        "answers of a client, not acknowledged": 1_000,
    },
    "answer to an edit, kept": {
        "answer to edits, SDK": 397_312,
    },
    "documents of a channel": {
        "answer": 409_600,
    },
    "documents of a channel in bytes": {
        "answer": 933_888,
    },
    "picture of a device": {
        "payload of a device's message": 262_144,
        "message of a device with a picture": 350_038,
    },
    "message of a device": {
        "payload of a device's message": 4_096,
    },
    "status of a device": {
        "payload of a device's message": 12_288,
        "value in an event or a snapshot": 13_312,
    },
    "payload of a device's message": {
        "messages of devices that wait in a gateway, in bytes": 26_214_400,
        "message of a device with a picture": 262_144,
        "MQTT packet": 264_192,
        "MQTT messages that wait for a program, in bytes": 262_144,
    },
    "message of a device with a picture": {
        "Kafka record of a device's message": 351_061,
    },
    "messages of devices under way to Kafka": {
        "messages of devices that wait in a gateway": 100,
    },
    "messages of devices that wait in a gateway": {
        "messages of devices that wait in a gateway, in bytes": 1_024_000,
    },
    "records that a gateway holds": {
        "records that a gateway holds, in bytes": 1_024_000,
    },
    "Kafka record of a device's message": {
        "producer's request": 351_573,
        "records of Kafka being applied, of a partition, in bytes": 1_406_292,
    },
    "dead letter of a device": {
        "topic: max.message.bytes": 40_960,
    },
    "troubles in a status": {
        "status of a device": 10_672,
        "word of a printer's agent": 10_672,
    },
    "measurements of a device": {
        "document": 45_056,
    },
    "devices of a store": {
        "devices of a store, removed ones too": 500,
    },
    "open commands of a device": {
        "documents of a channel": 66,
        "documents of a channel in bytes": 512_000,
    },
    "command to a device": {
        "proxy: request body": 8_192,
        "value in an event or a snapshot": 10_240,
        "payload of a device's message": 10_240,
    },
    "documents of a printer's channel": {
        "documents of a channel": 136,
    },
    "documents of a printer's channel in bytes": {
        "documents of a channel in bytes": 425_984,
    },
    "lines of a ticket": {
        "document": 190_784,
    },
    "printers of a store": {
        "devices of a store": 20,
    },
    "copies of a ticket": {
        "documents of a printer's channel": 5,
    },
    "job of a Star printer in a message": {
        "payload of a device's message": 201_024,
        "Kafka record of a device's message": 201_024,
    },
    "word of a printer's agent": {
        "proxy: request body": 12_288,
    },
    "poll of a Star printer": {
        "proxy: request body": 16_384,
    },
    "points of the ops page": {
        "answer": 768_000,
    },
    "point of the ops page, as charts have it": {
        "point of the ops page": 768,
    },
    "points of the ops page that are read at once": {
        "answer": 1_048_576,
    },
    "largest event": {
        "line of a stream": 62_807,
        "event, SDK": 62_807,
        "publication": 126_638,
        "record of an event": 126_638,
        "what waits for one slow client": 62_993,
        "rings in all": 62_993,
        "answer from a shared read": 63_591,
        "events that a webhook's store reads at once, in bytes": 62_807,
    },
    "publication": {
        "topic: max.message.bytes": 524_288,
        "relay's request": 524_288,
    },
    "record of an event": {
        "topic: max.message.bytes": 1_048_576,
        "relay's request": 1_044_480,
        "records that a gateway holds, in bytes": 1_044_480,
    },
    "topic: max.message.bytes": {
        "batch read from Kafka": 1_048_576,
    },
    "batch read from Kafka, unpacked": {
        "batch read from Kafka": 33_554_432,
    },
    "messages to others, and subscriptions, of a socket in a second": {
        "messages from a socket in a second": 10,
    },
    "record of a message to others": {
        "topic: max.message.bytes": 4_096,
    },
    "message to others": {
        "message from a socket": 2_048,
        "record of a message to others": 3_072,
    },
    "receipts in a record": {
        "producer's request": 639_024,
    },
    "orders that a device has shown, in a request": {
        "request body": 5_024,
    },
    "receipts body": {
        "proxy: request body": 131_072,
    },
    "line of a stream": {
        "MQTT messages that wait for a program, in bytes": 65_535,
    },
    "channels": {
        "answer without `orders`": 31_403_500,
        "request head": 173_884,
        "sync body": 81_524,
        "receipts body": 81_524,
    },
    "answer from a shared read": {
        "answer": 131_072,
    },
    "answer": {
        "answer without `orders`": 1_048_576,
        "large answers of a subject": 1_048_576,
    },
    "answer without `orders`": {
        "answer, SDK": 51_882_493,
        "pages of a sync in bytes, SDK": 50_331_648,
        "large answers of a subject, in a burst": 100_663_296,
    },
    "large answers of a subject": {
        "large answers of a subject, in a burst": 8_388_608,
    },
    "longest cursor, in a query": {
        "stream query": 192_769,
    },
    "longest ticket": {
        "ticket": 110_269,
    },
    "ticket": {
        "stream query": 198_212,
    },
    "stream query": {
        "stream request head": 245_760,
    },
    "stream request head": {
        "proxy: request head": 262_144,
    },
    "access token": {
        "headers beside the query": 16_384,
        "answer to a printer's agent": 16_384,
    },
    "subject of a token": {
        "longest ticket": 2_040,
        "record of a revocation": 2_042,
    },
    "record of a revocation": {
        "topic: max.message.bytes": 5_120,
    },
    "keys of the OpenID provider": {
        "answer of the OpenID provider": 262_144,
    },
    "those of a store": {
        "browsers that are told of orders": 20,
    },
    "those of a table": {
        "guests' phones that are told": 12,
    },
    "orders that a message to a guest's phone names": {
        "message to a browser": 460,
    },
    "endpoint of a browser": {
        "request body": 4_096,
    },
    "message to a browser": {
        "what push services take": 512,
    },
    "requests under way to one push service": {
        "requests under way to push services": 50,
    },
    "requests under way to browsers of one token's subject": {
        "requests under way to one push service": 10,
    },
    "webhooks": {
        "stores of all webhooks together": 1_000,
    },
    "webhooks of a store": {
        "webhooks": 10,
    },
    "webhooks of a token's subject": {
        "webhooks": 50,
    },
    "stores of a webhook": {
        "access token": 11_998,
        "stores of all webhooks together": 5_000,
        "request body": 11_232,
    },
    "URL of a webhook": {
        "request body": 3_072,
    },
    "requests under way of one webhook": {
        "requests under way to webhooks' receivers": 8,
    },
    "command in the SDK's queue": {
        "request body": 65_536,
    },
    "edits that the SDK sends at once": {
        "edits body": 1_048_576,
    },
    "MQTT messages that wait for a program": {
        "MQTT messages that wait for a program, in bytes": 2_048_000,
        "MQTT messages that wait on a connection": 2_000,
    },
    "channels in a mark": {
        "payload of a device's message": 162_024,
    },
    "idempotency key": {
        "headers beside the query": 12_543,
    },
    "query of a sync, SDK": {
        "request head": 49_152,
    },
    "`next` of a snapshot": {
        "query of a sync, SDK": 4_096,
    },
}
