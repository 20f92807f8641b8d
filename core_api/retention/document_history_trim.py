"""Deletes old versions from the history of documents, document by document.

It scans all documents, so that long-lived entries cannot hide those that may be deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from client_sdk.contract.digest import canonical
from client_sdk.contract.state.patch import diff
from client_sdk.contract.state.pointer import MISSING
from core_api.documents.definitions import Definitions
from core_api.edits.what_was_read import DocumentName
from core_api.postgres.patience import keep_looking
from core_api.postgres.pool import Pool, mapped_errors
from core_api.postgres.trim_around_damage import UNDELETABLE
from core_api.postgres.unreadable_rows import unreadable_rows
from core_api.retention.history_cuts import Cut, KeptVersion, cut, kept_s
from server_common.logs import get_logger

_log = get_logger()

EVERY_S: Final = 3600.0
_DOCUMENTS: Final = 50
_VERSIONS: Final = 100
"""How many versions of a document are read, and deleted, at once: more than lie between two that
are stored whole."""

_END: Final = canonical(diff({}, MISSING)).decode()
"""The diff of every end."""

_WALK: Final = """
SELECT channel, key FROM documents WHERE (channel, key) > ($1, $2) ORDER BY channel, key LIMIT $3
"""

# A range of the primary key from its beginning, and only if the first entry is old.
_OLDEST: Final = """
SELECT q.place, v.version, v.at < now() - make_interval(secs => q.kept_s) AS is_old, v.stands_alone
FROM unnest($1::text[], $2::text[], $3::float8[])
         WITH ORDINALITY AS q(channel, key, kept_s, place)
     JOIN LATERAL (
         SELECT at FROM document_history
         WHERE channel = q.channel AND key = q.key AND took_effect
         ORDER BY version LIMIT 1
     ) AS first ON first.at < now() - make_interval(secs => q.kept_s)
     JOIN LATERAL (
         SELECT version, at,
                value IS NOT NULL OR diff = $5 AS stands_alone
         FROM document_history
         WHERE channel = q.channel AND key = q.key AND took_effect
         ORDER BY version LIMIT $4
     ) AS v ON true
ORDER BY q.place, v.version
"""

_FORGET: Final = """
WITH cuts AS (
    SELECT * FROM unnest($1::text[], $2::text[], $3::float8[], $4::int[], $5::int[])
        AS c(channel, key, kept_s, below, aside)
), versions AS (
    DELETE FROM document_history h USING cuts c
    WHERE h.channel = c.channel AND h.key = c.key AND h.took_effect AND h.version < c.below
    RETURNING 1
), asides AS (
    DELETE FROM document_history h USING cuts c
    WHERE h.channel = c.channel AND h.key = c.key AND NOT h.took_effect AND h.version <= c.aside
      AND h.at < now() - make_interval(secs => c.kept_s)
    RETURNING 1
)
SELECT (SELECT count(*) FROM versions) + (SELECT count(*) FROM asides)
"""


async def keep_trimming_history(
    pool: Pool,
    definitions: Definitions,
    trimmed: Callable[[int], None],
    left: Callable[[], None],
) -> None:
    """Every hour delete the entries that are older than their definition asks to keep.

    Args:
        pool: the database.
        definitions: how long versions are kept.
        trimmed: called with how many entries were deleted.
        left: called for each document whose history cannot be deleted.
    """

    async def look() -> None:
        trimmed(await trim_history(pool, definitions, left=left))

    await keep_looking(look, EVERY_S, "trim_failed")


async def trim_history(
    pool: Pool,
    definitions: Definitions,
    documents: int = _DOCUMENTS,
    versions: int = _VERSIONS,
    left: Callable[[], None] = lambda: None,
) -> int:
    """Delete all entries that may be deleted. Returns how many.

    Args:
        pool: the database.
        definitions: how long versions are kept.
        documents: how many documents are processed at once.
        versions: how many versions of each.
        left: called for each document whose history cannot be deleted.

    Raises:
        UnavailableError: Postgres does not answer.
    """
    total = 0
    last: DocumentName = ("", "")
    while True:
        with mapped_errors():
            rows = await pool.fetch(_WALK, *last, documents)
        if not rows:
            return total
        names = [(row[0], row[1]) for row in rows]
        total += await _forget_around(pool, definitions, names, versions, left)
        last = names[-1]


async def _forget_around(
    pool: Pool,
    definitions: Definitions,
    names: Sequence[DocumentName],
    versions: int,
    left: Callable[[], None],
) -> int:
    """Trim these documents; an unreadable one is reported with `left`, and the others go on."""
    total = 0
    try:
        while gone := await _forget(pool, definitions, names, versions):
            total += gone
        return total
    except UNDELETABLE as error:
        if len(names) == 1:
            channel, key = names[0]
            _log.error("history_not_trimmed", channel=channel, key=key, reason=str(error))
            left()
            return total
    middle = len(names) // 2
    for part in (names[:middle], names[middle:]):
        total += await _forget_around(pool, definitions, part, versions, left)
    return total


async def _forget(
    pool: Pool, definitions: Definitions, names: Sequence[DocumentName], versions: int
) -> int:
    ages = [float(kept_s(definitions, c.partition(":")[0], key)) for c, key in names]
    channels, keys = [name[0] for name in names], [name[1] for name in names]
    with mapped_errors(), unreadable_rows():
        found: dict[int, list[KeptVersion]] = {}
        for place, version, is_old, alone in await pool.fetch(
            _OLDEST, channels, keys, ages, versions, _END
        ):
            found.setdefault(place - 1, []).append(KeptVersion(version, is_old, alone))
        cuts: dict[int, Cut] = {place: cut(kept) for place, kept in found.items()}
        if not cuts:
            return 0
        gone: int = await pool.fetchval(
            _FORGET,
            [channels[place] for place in cuts],
            [keys[place] for place in cuts],
            [ages[place] for place in cuts],
            [one.below for one in cuts.values()],
            [one.aside for one in cuts.values()],
        )
    return gone
