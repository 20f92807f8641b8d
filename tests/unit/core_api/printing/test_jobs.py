"""The life of a print job."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace

from core_api.devices.commands.lifecycle import COMMAND_ID_PATTERN
from core_api.printing.jobs import (
    MAX_ATTEMPTS,
    Job,
    Step,
    StepRefusedError,
    StepReport,
    after,
    ends_at,
    job_of,
    name_of,
)
from tests.unit.core_api.printing.samples import job
from tests.unit.core_api.samples import NOW, ORDER_ID

LATE = NOW + timedelta(hours=1)


def do(one: Job, step: Step, agent: str = "a", attempt: int = 1, now: datetime = NOW) -> Job:
    return after(one, StepReport(step, agent, attempt), now)


def test_its_name_follows_from_order_version_copy_and_the_time_of_the_event() -> None:
    name = name_of(ORDER_ID, 3, 2, "2026-11-21T12:00:00+00:00")
    assert name == name_of(ORDER_ID, 3, 2, "2026-11-21T12:00:00+00:00")
    assert name.startswith(f"{ORDER_ID}-3-2-")


def test_another_event_of_the_same_version_has_another_name() -> None:
    name = name_of(ORDER_ID, 3, 2, "2026-11-21T12:00:00+00:00")
    assert name != name_of(ORDER_ID, 3, 2, "2026-11-21T12:00:00.000001+00:00")


def test_its_name_is_short_enough_for_a_command_over_mqtt() -> None:
    assert re.fullmatch(COMMAND_ID_PATTERN, name_of(ORDER_ID, 9_999_999, 5, NOW.isoformat()))


def test_a_job_that_an_earlier_release_made_keeps_its_name() -> None:
    made = job(id=f"{ORDER_ID}-3-2")
    assert job_of(made.id, made.value) == made


def test_the_first_attempt_is_no_repeat() -> None:
    taken = do(job(), "take")
    assert (taken.state, taken.agent, taken.attempts, taken.repeat) == ("sent", "a", 1, False)


def test_who_took_it_may_ask_again_and_it_is_the_same_attempt() -> None:
    taken = do(job(), "take")
    assert do(taken, "take") is taken


def test_what_another_agent_took_is_taken_as_a_repeat() -> None:
    taken = do(do(job(), "take"), "take", "b")
    assert (taken.agent, taken.attempts, taken.repeat) == ("b", 2, True)


def test_done_is_done_and_comes_twice_without_harm() -> None:
    done = do(do(job(), "take"), "done")
    assert done.state == "done"
    assert do(done, "done") is done


def test_a_doubtful_job_is_taken_as_a_repeat() -> None:
    doubtful = do(do(job(), "take"), "doubt")
    assert (doubtful.state, doubtful.waits) == ("doubtful", False)
    taken = do(doubtful, "take")
    assert (taken.state, taken.attempts, taken.repeat) == ("sent", 2, True)


def test_a_late_word_on_a_doubtful_job_settles_it() -> None:
    assert do(do(do(job(), "take"), "doubt"), "done").state == "done"


def test_a_word_on_an_older_attempt_changes_nothing() -> None:
    second = do(do(do(job(), "take"), "doubt"), "take")
    with pytest.raises(StepRefusedError, match="attempt 2"):
        do(second, "done", attempt=1)


def test_a_word_of_who_has_not_taken_it_changes_nothing() -> None:
    with pytest.raises(StepRefusedError):
        do(do(job(), "take"), "done", "b")


def test_a_job_past_its_time_waits_for_a_person() -> None:
    late = do(job(), "take", now=LATE)
    assert (late.state, late.waits, late.attempts) == ("failed", True, 0)
    with pytest.raises(StepRefusedError):
        do(late, "take", now=LATE)


@pytest.mark.parametrize("agent", ["a", "b"])
def test_yesterdays_ticket_that_is_in_doubt_waits_for_a_person_too(agent: str) -> None:
    sent = do(job(), "take")
    one = sent if agent == "b" else do(sent, "doubt")
    late = do(one, "take", agent, now=LATE)
    assert (late.state, late.waits, late.attempts) == ("failed", True, 1)
    assert "may be on paper" in late.detail
    again = do(do(late, "again", "ann", now=LATE), "take", agent, now=LATE)
    assert (again.state, again.attempts, again.repeat) == ("sent", 2, True)


def test_what_is_under_way_when_its_time_ends_stays_so() -> None:
    sent = do(job(), "take")
    assert do(sent, "take", now=LATE) is sent
    assert do(sent, "done", now=LATE).state == "done"


def test_a_ticket_of_before_a_restore_is_a_repeat() -> None:
    made_at = datetime.fromisoformat(job().made_at)
    after_it = after(job(), StepReport("take", "a"), NOW, made_at + timedelta(seconds=1))
    assert (after_it.attempts, after_it.repeat) == (1, True)
    assert not after(job(), StepReport("take", "a"), NOW, made_at).repeat


def test_a_person_lets_it_print_after_all_and_it_is_no_repeat() -> None:
    again = do(do(job(), "take", now=LATE), "again", "ann", now=LATE)
    assert (again.state, again.repeat) == ("queued", False)
    assert do(again, "take", now=LATE + timedelta(minutes=14)).state == "sent"


def test_what_was_sent_once_and_is_asked_for_again_is_a_repeat() -> None:
    again = do(do(do(job(), "take"), "done"), "again", "ann")
    assert (again.state, again.repeat) == ("queued", True)


def test_after_some_doubtful_attempts_it_waits_for_a_person() -> None:
    one = job()
    for attempt in range(1, MAX_ATTEMPTS + 1):
        one = do(do(one, "take"), "doubt", attempt=attempt)
    assert (one.state, one.waits) == ("doubtful", True)
    assert not one.is_ready


def test_what_failed_waits_for_a_person() -> None:
    failed = do(do(job(), "take"), "fail")
    assert (failed.state, failed.waits, failed.is_ready) == ("failed", True, False)


def test_what_a_person_drops_is_not_printed() -> None:
    dropped = do(job(), "drop", "ann")
    assert (dropped.state, dropped.waits, dropped.is_ready) == ("failed", False, False)


@pytest.mark.parametrize("state", ["queued", "sent"])
def test_what_prints_anyway_cannot_be_asked_for_again(state: str) -> None:
    with pytest.raises(StepRefusedError):
        do(replace(job(), state=state), "again")


def test_what_is_printed_cannot_be_dropped() -> None:
    with pytest.raises(StepRefusedError):
        do(job(state="done"), "drop")


def test_a_printed_job_goes_soon_and_one_that_waits_stays_for_a_day_past_its_time() -> None:
    assert ends_at(job(state="done"), NOW) == NOW + timedelta(seconds=60)
    assert ends_at(job(), NOW) == NOW + timedelta(minutes=15, days=1)
