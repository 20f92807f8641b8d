"""What the agent's journal keeps."""

from __future__ import annotations

from pathlib import Path

import pytest

from client_sdk.printer.errors import AgentError
from client_sdk.printer.journal import Journal


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "printers" / "kitchen.journal"


def reopened(journal: Journal, path: Path) -> Journal:
    journal.close()
    return Journal(path)


def test_the_agent_is_the_same_as_long_as_the_journal_is(path: Path) -> None:
    journal = Journal(path)
    name = journal.agent
    journal = reopened(journal, path)
    assert journal.agent == name
    journal.close()


def test_what_was_begun_and_not_ended_is_doubtful_after_a_restart(path: Path) -> None:
    journal = Journal(path)
    journal.begin("a", 1)
    journal = reopened(journal, path)
    journal.end_what_was_left()
    (entry,) = journal.untold()
    assert (entry.job, entry.attempt, entry.outcome) == ("a", 1, "doubt")
    journal.close()


def test_what_core_was_told_is_not_told_again_and_still_known(path: Path) -> None:
    journal = Journal(path)
    entry = journal.begin("a", 1)
    journal.end(entry, "done", "")
    journal.told(entry)
    journal = reopened(journal, path)
    journal.end_what_was_left()
    known = journal.find("a", 1)
    assert list(journal.untold()) == []
    assert known is not None
    assert known.outcome == "done"
    journal.close()


def test_each_attempt_has_a_number_of_its_own(path: Path) -> None:
    journal = Journal(path)
    numbers = {journal.begin("a", attempt).number for attempt in (1, 2, 3)}
    assert len(numbers) == 3
    assert journal.find("a", 4) is None
    journal.close()


def test_two_agents_cannot_share_a_journal(path: Path) -> None:
    journal = Journal(path)
    with pytest.raises(AgentError, match="another agent"):
        Journal(path)
    journal.close()


def test_a_damaged_journal_is_refused(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(AgentError, match="damaged"):
        Journal(path)


def test_each_boot_is_greater_than_the_one_before_whatever_the_clock_says(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    boots = []
    for now in (1000, 1000, 900, 5000):
        monkeypatch.setattr("client_sdk.printer.journal.time.time", lambda now=now: float(now))
        journal = Journal(path)
        boots.append(journal.next_boot())
        journal.close()
    assert boots == [1000, 1001, 1002, 5000]
