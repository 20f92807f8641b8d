"""The tables of documents and edits."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    text,
)

from core_api.postgres.tables.metadata import TIME, key, metadata, optional, required

documents = Table(
    "documents",
    metadata,
    key("channel", Text),
    key("key", Text),
    required("version", Integer),
    required("schema", Integer),
    required("facts", Text, "its JSON but for the value"),
    optional("value", Text, "as JSON; null: there is none (any more)"),
    required("made_at", TIME),
    required("updated_at", TIME),
    optional("ends_at", TIME, "when it is deleted by itself"),
    CheckConstraint("version >= 0", name="version"),
    Index("ix_documents_ends_at", "ends_at", postgresql_where=text("ends_at IS NOT NULL")),
    Index("ix_documents_ending_key", "key", postgresql_where=text("ends_at IS NOT NULL")),
    Index("ix_documents_empty", "updated_at", postgresql_where=text("version = 0")),
    Index("ix_documents_printing", "updated_at", postgresql_where=text("key = 'printing'")),
    Index(
        "ix_documents_printed",
        "updated_at",
        postgresql_where=text("value IS NULL AND key LIKE 'print.%'"),
    ),
    postgresql_with={"fillfactor": "50"},
    comment="The current state of each document",
)

document_history = Table(
    "document_history",
    metadata,
    key("channel", Text),
    key("key", Text),
    key("version", Integer, "what it made, or was put aside at"),
    key("client", Text),
    key("n", BigInteger),
    required("took_effect", Boolean, "false: put aside"),
    required("at", TIME),
    required("made_at", TIME),
    required("entry", Text, "the history's JSON of it"),
    required("diff", Text, "JSON Patch from the version before"),
    optional("value", Text, "the whole value, at some versions"),
    required("schema", Integer),
    Index("ix_document_history_at", "at", postgresql_using="brin"),
    comment="What became of each edit that made a version or was put aside",
)

edit_clients = Table(
    "edit_clients",
    metadata,
    key("client", Text),
    required("subject", Text),
    required("settled", BigInteger, "its last settled number"),
    required("seen_at", TIME, default="now()"),
    Index("ix_edit_clients_seen_at", "seen_at"),
    Index("ix_edit_clients_subject", "subject"),
    postgresql_with={"fillfactor": "50"},
    comment="How far the edits of each client are settled",
)

edit_outcomes = Table(
    "edit_outcomes",
    metadata,
    key("client", Text),
    key("n", BigInteger),
    required("request_hash", LargeBinary),
    required("outcome", Text),
    optional("result", Text, "what an edit that is made on it needs"),
    comment="What became of each edit, kept until its client has the answer",
)
