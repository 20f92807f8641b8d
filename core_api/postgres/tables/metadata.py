"""What all tables share. Text is `text`, times are `timestamptz`, money is `bigint` in minor units.

JSON that is only passed through is `text`: Postgres need not parse it.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Column, DateTime, MetaData, text
from sqlalchemy.types import TypeEngine

TIME: Final = DateTime(timezone=True)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Type = TypeEngine[Any] | type[TypeEngine[Any]]


def key(name: str, type_: Type, comment: str | None = None) -> Column[Any]:
    """A column of the primary key.

    Args:
        name: the column's.
        type_: as SQLAlchemy has it.
        comment: what the column says; None: its name does.
    """
    return Column(name, type_, primary_key=True, comment=comment)


def required(
    name: str, type_: Type, comment: str | None = None, *, default: str | None = None
) -> Column[Any]:
    """A column that is never null.

    Args:
        name, type_, comment: as for `key`.
        default: the value of a row that is written without one, in SQL; None: there is no default.
    """
    made_of = None if default is None else text(default)
    return Column(name, type_, nullable=False, server_default=made_of, comment=comment)


def optional(name: str, type_: Type, comment: str | None = None) -> Column[Any]:
    """A column that may be null.

    Args:
        name, type_: as for `key`.
        comment: what the column says, or null in it; None: its name does.
    """
    return Column(name, type_, comment=comment)
