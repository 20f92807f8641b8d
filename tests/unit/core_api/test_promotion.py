"""Whether a standby that was promoted lacks anything that was shown."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core_api.restore.detection import (
    LONGEST_FAILOVER_S,
    EventIdentity,
    LastPublished,
    Lineage,
    StoredLineage,
    Witness,
    doubt_of,
    signs,
)

AT = 1_800_000_000.0
WITNESS = Witness(AT, AT + 5, is_replicated=True)
PROMOTED = Lineage("E2", "7/1/5", "7/2/5", WITNESS, AT + 30)
PUBLISHED = {"store:1": LastPublished(9, EventIdentity("a", 3))}


def test_a_standby_that_each_commit_waited_for_lacks_nothing() -> None:
    assert doubt_of(PROMOTED, AT + 4) is None
    stored = {"store:1": StoredLineage(9, 0, EventIdentity("a", 3))}
    assert list(signs(PROMOTED, AT + 4, PUBLISHED, stored)) == []


@pytest.mark.parametrize(
    ("lineage", "watermark", "said"),
    [
        (
            replace(PROMOTED, witness=replace(WITNESS, is_replicated=False)),
            AT + 4,
            "did not wait for a standby",
        ),
        (replace(PROMOTED, witness=None), AT + 4, "no relay had looked"),
        (PROMOTED, AT + 5.1, "the log had reached"),
        (PROMOTED, 0.0, "Kafka has no watermark"),
        (replace(PROMOTED, now=AT + LONGEST_FAILOVER_S + 1), AT + 4, "no relay had looked at it"),
        (replace(PROMOTED, identity="8/2/5"), AT + 4, "not a standby of that database"),
        (replace(PROMOTED, identity="7/2/6"), AT + 4, "not a standby of that database"),
        (replace(PROMOTED, born_in="7/3/5"), AT + 4, "not a standby of that database"),
        (replace(PROMOTED, identity="7/3/5"), AT + 4, "promoted more than once"),
        (replace(PROMOTED, is_cut=True), AT + 4, "recovered to a point in time"),
        (replace(PROMOTED, born_in="nonsense"), AT + 4, "not a standby of that database"),
    ],
    ids=[
        "asynchronous",
        "never looked at",
        "older than what was published",
        "a topic that was wiped",
        "a recovery that took long",
        "another cluster",
        "another database",
        "an earlier timeline",
        "two promotions",
        "a recovery that was told where to end",
        "unreadable",
    ],
)
def test_what_may_lack_something_is_doubted(lineage: Lineage, watermark: float, said: str) -> None:
    doubt = doubt_of(lineage, watermark)
    assert doubt is not None
    assert said in doubt
    (sign,) = signs(lineage, watermark, {}, {})
    assert said in sign
    assert "began in the database" in sign


def test_what_was_published_and_is_not_there_counts_however_commits_were_made() -> None:
    (sign,) = signs(PROMOTED, AT + 4, PUBLISHED, {"store:1": StoredLineage(8, 0, None)})
    assert "store:1@9 was published" in sign
