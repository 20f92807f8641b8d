"""What all tables share. Text is `text`, times are `timestamptz`, money is `bigint` in minor units.

JSON that is only passed through is `text`: Postgres need not parse it.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import MetaData, text

NOW: Final = text("now()")

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)
