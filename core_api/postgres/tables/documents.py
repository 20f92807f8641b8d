"""The tables of documents and edits."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    text,
)

from core_api.postgres.tables.metadata import NOW, metadata

documents = Table(
    "documents",
    metadata,
    Column("channel", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("schema", Integer, nullable=False),
    Column("facts", Text, nullable=False, comment="its JSON but for the value"),
    Column("value", Text, comment="as JSON; null: there is none (any more)"),
    Column("made_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    Column("ends_at", DateTime(timezone=True), comment="when it is deleted by itself"),
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
    Column("channel", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("version", Integer, primary_key=True, comment="what it made, or was put aside at"),
    Column("client", Text, primary_key=True),
    Column("n", BigInteger, primary_key=True),
    Column("took_effect", Boolean, nullable=False, comment="false: put aside"),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("made_at", DateTime(timezone=True), nullable=False),
    Column("entry", Text, nullable=False, comment="the history's JSON of it"),
    Column("diff", Text, nullable=False, comment="JSON Patch from the version before"),
    Column("value", Text, comment="the whole value, at some versions"),
    Column("schema", Integer, nullable=False),
    Index("ix_document_history_at", "at", postgresql_using="brin"),
    comment="What became of each edit that made a version or was put aside",
)

edit_clients = Table(
    "edit_clients",
    metadata,
    Column("client", Text, primary_key=True),
    Column("subject", Text, nullable=False),
    Column("settled", BigInteger, nullable=False, comment="its last settled number"),
    Column("seen_at", DateTime(timezone=True), nullable=False, server_default=NOW),
    Index("ix_edit_clients_seen_at", "seen_at"),
    Index("ix_edit_clients_subject", "subject"),
    postgresql_with={"fillfactor": "50"},
    comment="How far the edits of each client are settled",
)

edit_outcomes = Table(
    "edit_outcomes",
    metadata,
    Column("client", Text, primary_key=True),
    Column("n", BigInteger, primary_key=True),
    Column("request_hash", LargeBinary, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("result", Text, comment="what an edit that is made on it needs"),
    comment="What became of each edit, kept until its client has the answer",
)
