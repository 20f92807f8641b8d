"""The processing of edits: read, settled, written in one statement, answered; their history.

`service.py` takes what many clients send at once through three steps:

| step | file | its part |
| --- | --- | --- |
| read | `requests.py` | one client's request: what each of its edits may be (pure) |
| | `reading.py` | reads documents, clients, earlier answers and kept versions; takes no lock |
| | `what_was_read.py` | types: what was read (pure) |
| | `needs.py` | which earlier answers and histories must be read, too (pure) |
| settle | `plan.py` | types: types: input and output of planning: rows and answers (pure) |
| | `planning.py` | settles each edit once, in order, by `core_api/documents/settling.py` (pure) |
| | `working_documents.py` | the documents and their channels' room while that goes on (pure) |
| | `lifetimes.py` | when a document ends (pure) |
| | `outcomes.py` | what the client of an edit is told (pure) |
| | `rows.py` | the rows of document, event, history and outcome (pure) |
| write | `writing.py` | the one statement, under the locks; nothing of what has changed since |
| later | `history_reading.py` | reads earlier versions of a document, and its history's entries |

`metrics.py` counts. Which edit wins is decided in `core_api/documents/`, not here.
"""
