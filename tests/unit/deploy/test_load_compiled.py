"""What compiled clients say becomes the same reports and tracks as those of clients in Python."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.load.clients.compiled_process import Heard, compiled
from deploy.load.measured.proof import Fact, Log, judge
from deploy.load.plan import LoadTestError

CHANNELS = ["store:s", "table:s/1"]
FIRST, SECOND = Fact(5, "order-a", 1), Fact(6, "order-a", 2)


def test_lines_are_told_once_they_are_whole() -> None:
    heard = Heard(CHANNELS)
    assert heard.take(b"m 1 2 3 4\nc 5 6 0 7 0 0\ns 0.25\ns 0.").syncs == [0.25]
    report = heard.take(b"5\ng 1 403 Core refused a sync\n")
    assert report.syncs == [0.5]
    assert report.modes == {"starting": 1, "live": 2, "polling": 3, "offline": 4}
    assert report.counts == {}, "what was told once is not told again"
    assert report.gave_up == [("table:s/1", "403 Core refused a sync")]


def test_what_happened_is_counted_by_its_name() -> None:
    assert Heard(CHANNELS).take(b"c 5 6 0 7 0 1\n").counts == {
        "synced": 5, "opened": 6, "delivered": 7, "refused": 1,
    }  # fmt: skip


def test_events_are_held_against_the_log_as_those_of_any_client() -> None:
    heard = Heard(CHANNELS)
    report = heard.take(
        b"b 0 4 first_sync\ne 0 5 order-a 1 12.5 run-1\n"
        b"b 1 0 first_sync\ne 0 6 order-a 2 13.5 run-1\n"
    )
    assert report.seen == [("run-1", 1, 12.5), ("run-1", 2, 13.5)]
    logs = {"store:s": Log([FIRST, SECOND]), "table:s/1": Log([])}
    verdict = judge(heard.tracks, {"store:s": 6, "table:s/1": 0}, logs, {})
    assert verdict.clean
    assert verdict.checked == 2


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        (b"e 0 6 order-a 2 1.0 run\n", "lost"),
        (b"e 0 5 order-a 1 1.0 run\n", "lost"),
        (b"e 0 5 order-a 1 1.0 run\ne 0 5 order-a 1 1.0 run\ne 0 6 order-a 2 1.0 run\n", "doubled"),
        (b"e 0 6 order-a 2 1.0 run\ne 0 5 order-a 1 1.0 run\n", "out_of_order"),
        (b"e 0 5 order-b 1 1.0 run\ne 0 6 order-a 2 1.0 run\n", "lost"),
    ],
    ids=["one left out", "the last one missing", "one twice", "one late", "another order"],
)
def test_a_client_that_took_something_else_fails_the_proof(said: bytes, wrong: str) -> None:
    heard = Heard(CHANNELS[:1])
    heard.take(b"b 0 4 first_sync\n" + said)
    verdict = judge(heard.tracks, {"store:s": 6}, {"store:s": Log([FIRST, SECOND])}, {})
    assert getattr(verdict, wrong) == 1


def test_a_line_that_it_does_not_know_is_an_error() -> None:
    with pytest.raises(ValueError, match="an unknown line: 'what is this'"):
        Heard(CHANNELS).take(b"what is this\n")


def test_a_missing_compiler_is_named_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(LoadTestError, match="apt-get install gcc"):
        compiled(tmp_path)
