"""What a CloudPRNT printer's poll leads to."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from core_api.errors import BadRequestError
from core_api.printing.cloudprnt import (
    AGENT,
    MARKUP,
    PNG,
    PRINT_TIMEOUT,
    TEXT,
    JobSeen,
    Poll,
    broker_answer,
    decide,
    mac_of,
    media_of,
    outcome_of,
    parse_token,
    poll_answer,
    text_body,
    token_of,
)
from core_api.printing.jobs import Job
from tests.unit.core_api.printing.samples import job
from tests.unit.core_api.samples import NOW

WELL = Poll("200 OK")
OPEN = Poll("420 Cover open")
TAKEN = job(state="sent", agent=AGENT, attempts=1)
LATER_JOB = job(version=3, seq=9)


def seen(*jobs: Job) -> list[JobSeen]:
    return [JobSeen(one, NOW) for one in jobs]


def test_a_poll_may_leave_out_all_but_its_code() -> None:
    poll = msgspec.json.decode(b'{"statusCode":"200%20OK","printerMAC":null}', type=Poll)
    assert (poll.code, poll.is_online, poll.troubles) == ("200", True, [])


@pytest.mark.parametrize(
    ("code", "trouble"),
    [
        ("410 Out of paper", "paper end"),
        ("420", "cover open"),
        ("499 new", "printer says 499"),
        ("210", "paper low"),
        ("211 Paper low", "paper low"),
        ("221 Output paper is present", "take the paper out"),
        ("412%20Roll%20position", "roll position"),
        ("4101%20Out%20of%20paper", "paper end"),
        ("4999 new", "printer says 4999"),
    ],
)
def test_a_code_is_told_as_a_trouble(code: str, trouble: str) -> None:
    assert Poll(code).troubles == [trouble]


def test_the_first_ready_job_is_offered() -> None:
    assert decide(seen(job(), LATER_JOB), WELL, NOW).job == job()


def test_nothing_is_offered_to_a_printer_that_cannot_print() -> None:
    assert decide(seen(job()), OPEN, NOW).job is None


def test_while_a_job_is_under_way_no_other_is_offered() -> None:
    assert decide(seen(TAKEN, LATER_JOB), WELL, NOW + PRINT_TIMEOUT / 2).job is None
    printing = Poll("200 OK", printing_in_progress=True)
    assert decide(seen(TAKEN, LATER_JOB), printing, NOW + 2 * PRINT_TIMEOUT).job is None


@pytest.mark.parametrize(
    "poll",
    [
        Poll("220 Printing"),
        Poll("221 Output paper is present"),
        Poll("200 OK", printing_in_progress=True),
    ],
)
def test_a_printer_that_is_busy_is_left_alone(poll: Poll) -> None:
    assert decide(seen(job()), poll, NOW).job is None
    decided = decide(seen(TAKEN, LATER_JOB), poll, NOW + 2 * PRINT_TIMEOUT)
    assert (decided.step, decided.job) == (None, None)


def test_a_job_that_is_never_confirmed_is_doubtful_after_the_guides_time() -> None:
    decided = decide(seen(TAKEN), WELL, NOW + PRINT_TIMEOUT)
    assert (decided.step, decided.job) == ("doubt", TAKEN)


def test_an_error_while_a_job_is_under_way_makes_it_doubtful_at_once() -> None:
    decided = decide(seen(TAKEN), OPEN, NOW)
    assert (decided.step, decided.detail) == ("doubt", "printer says 420")


def test_a_job_that_is_too_old_is_looked_at_before_the_next() -> None:
    decided = decide(seen(job(), LATER_JOB), WELL, NOW + timedelta(hours=1))
    assert (decided.step, decided.job) == ("take", job())


def test_a_job_in_doubt_that_is_too_old_is_looked_at_before_the_next() -> None:
    doubtful = job(state="doubtful", attempts=1)
    decided = decide(seen(doubtful, LATER_JOB), WELL, NOW + timedelta(hours=1))
    assert (decided.step, decided.job) == ("take", doubtful)


def test_what_waits_for_a_person_holds_up_no_other() -> None:
    waiting = job(state="doubtful", waits=True, attempts=3)
    assert decide(seen(waiting, LATER_JOB), WELL, NOW).job == LATER_JOB


def test_each_attempt_has_a_token_of_its_own() -> None:
    assert parse_token(token_of(job())) == (job().id, 1)
    assert parse_token(token_of(TAKEN)) == (job().id, 2)


@pytest.mark.parametrize(
    "token",
    ["", "x", ".1", "a.x", "a.-1", "a.99999", "a.²", "x\0.1", "a/b.1", "a\n.1", f"{'a' * 65}.1"],
)
def test_another_token_is_none_of_ours(token: str) -> None:
    assert parse_token(token) is None


@pytest.mark.parametrize(
    ("code", "step"),
    [
        ("200 OK", "done"),
        ("OK", "done"),
        ("410 Out of paper", "doubt"),
        ("520 Timeout", "doubt"),
        ("511 Bad", "fail"),
        ("521 Too large", "fail"),
    ],
)
def test_a_confirmation_is_read_by_its_code(code: str, step: str) -> None:
    assert outcome_of(code)[0] == step


@pytest.mark.parametrize("code", ["511\0", "511 \ud800"])
def test_a_confirmation_that_cannot_be_stored_is_refused(code: str) -> None:
    with pytest.raises(BadRequestError, match="no code of a CloudPRNT printer"):
        outcome_of(code)


def test_the_answer_names_media_token_and_how_to_confirm() -> None:
    assert poll_answer(job(), [PNG]) == {
        "jobReady": True,
        "mediaTypes": [PNG],
        "jobToken": token_of(job()),
        "deleteMethod": "DELETE",
    }
    assert poll_answer(None, []) == {"jobReady": False}


def test_media_are_those_that_the_printer_takes_and_we_can_make() -> None:
    assert media_of(job(), [], has_font=True) == [PNG, MARKUP, TEXT]
    assert media_of(job(), [], has_font=False) == [MARKUP, TEXT]
    assert media_of(job(), [TEXT, "application/vnd.star.line"], has_font=True) == [TEXT]
    assert media_of(job(media="text"), [], has_font=True) == [MARKUP, TEXT, PNG]


def test_text_is_in_letters_that_the_printer_has() -> None:
    assert text_body(job(), TEXT, "") == "테이블 5\n".encode()
    assert text_body(job(), TEXT, "KS_C_5601, 437") == "테이블 5\n".encode("cp949")
    assert text_body(job(), TEXT, "437, 1252") == b"??? 5\n"


def test_a_repeat_says_so_in_every_form() -> None:
    again = job(repeat=True)
    for media in (TEXT, MARKUP):
        body = text_body(again, media, "")
        assert body is not None
        assert b"REPEAT" in body


@pytest.mark.parametrize(
    ("text", "mac"),
    [
        ("00:11:62:1D:9A:B7", "00:11:62:1d:9a:b7"),
        ("00:11:62:1d:9a", None),
        ("00:11:62:1d:9a:b7/#", None),
        ("+", None),
        (None, None),
    ],
)
def test_an_address_is_one_or_counts_for_nothing(text: str | None, mac: str | None) -> None:
    assert mac_of(text) == mac


@pytest.mark.parametrize("polls", [True, False])
def test_a_printer_is_told_where_and_as_whom_it_connects_and_whether_it_polls(polls: bool) -> None:
    answer = broker_answer("broker.example", 8883, "12~star-1~1", "secret", polls=polls)
    assert answer["serverSupportProtocol"] == ["HTTP", "MQTT"]
    assert answer["settingForMQTT"] == {
        "useTriggerPOST": polls,
        "mqttConnectionSetting": {
            "hostName": "broker.example",
            "portNumber": 8883,
            "useTls": True,
            "authenticationSetting": {
                "clientId": "12~star-1~1",
                "username": "12~star-1~1",
                "password": "secret",
            },
        },
    }
