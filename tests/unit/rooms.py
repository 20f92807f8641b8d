"""The rooms of each package, from the ground up: each may import only those before it.

A room is a folder, or a module beside the folders. What changes together stands in one room; the
sentence says what it is for.
"""

from __future__ import annotations

from typing import Final

ROOMS: Final[dict[str, dict[str, str]]] = {
    "client_sdk": {
        "contract": "the wire: what clients and servers say to each other, and how large it may be",
        "settings": "the client's numbers",
        "errors": "what a program may have to catch",
        "machine": "when to sync, connect, poll and wait, without clock and socket",
        "client": "the clients that programs use, and what lies around the machine",
        "state": "what is shown of documents, which edits wait for Core, and where they are kept",
        "shared": "the clients of orders and documents, and what lies around the shared state",
        "buffered": "the start over transports that cannot replay",
        "replay": "recorded orders, sent again as a producer would",
        "cli": "the command `yabam`, which finds its subcommands in the installed packages",
        "cli_commands": "the SDK's subcommands",
    },
    "server_common": {
        "errors": "what both servers raise alike",
        "logs": "structured logs",
        "sockets": "a port, and enough open files",
        "problem_answers": "problems as answers of HTTP",
        "http_rules": "what every request must be, whichever server it comes to",
        "limits": "the table of all sizes",
        "limit_check": "how the sizes must fit each other",
        "settings_loader": "settings from the environment",
        "read_timeout": "the time in which a request must arrive",
        "supervision": "background tasks that never end unnoticed",
        "kafka": "clients of Kafka, and records one by one where a batch is damaged",
        "event_records": "the records of the events topic",
        "tickets": "proof of permission and of a recent sync",
        "stream_placement": "which event server carries which channels",
    },
    "core_api": {
        "errors": "what can go wrong, as the callers are told it",
        "ids": "names that sort by time",
        "logs": "what must not stand in the logs",
        "heap_trim": "memory given back to the system",
        "problems": "errors as answers of HTTP",
        "overload": "how much is taken in at once",
        "metrics": "Core's numbers",
        "access": "who calls",
        "postgres": "connections, errors, tables, migrations, statements that requests share",
        "kafka": "topics, messages, a publisher that is fenced",
        "http": "the server, its connections, probes, traces",
        "event_log": "how events get their seqs, and the text of an event",
        "orders": "who may do what, an order's life, and how a command changes it",
        "sync": "what a client that has applied so much is given",
        "settings": "the processes' settings",
        "receipts": "which devices have an order, and the alarm for those that none has",
        "restore": "a database that has gone back, and the new epoch that follows",
        "retention": "what is deleted, and when",
        "relay": "from the outbox to Kafka, in order, with a watermark",
        "ingest": "commands from Kafka, applied once",
        "dashboard": "the figures of the ops page",
        "pages": "the pages for the browser",
        "api": "the routes, and their description",
        "main": "Core, wired",
        "cli_commands": "the subcommands of Core's processes",
    },
    "event_server": {
        "errors": "what can go wrong, as the callers are told it",
        "settings": "the process's settings",
        "problems": "errors as answers of HTTP",
        "replay": "what is remembered of each channel, and who follows it",
        "streams": "who may open a stream, how long it lives, when it ends",
        "metrics": "the event server's numbers",
        "kafka": "from Kafka to the rings, and the proof that nothing was left out",
        "push": "a stream on its connection",
        "http": "the other routes, and the server below",
        "supervisor": "several processes on one port",
        "main": "the event server, wired",
        "cli_commands": "its subcommand",
    },
}
