"""Star printers over MQTT alone: what they say, and what they are told."""

from __future__ import annotations

from base64 import b64decode

import pytest

from core_api.printing.cloudprnt import MARKUP, PNG, TEXT
from core_api.printing.jobs import Step
from core_api.printing.star.over_mqtt import (
    ANSWERS_WITHIN_S,
    NamedMedia,
    data_of,
    job_fields,
    media_in,
    media_over_mqtt,
    outcome_of_result,
    poll_of,
)
from server_common.devices.star import StarAction, StarResult, StarStatus
from tests.unit.core_api.printing.samples import job

MAC = "00:11:62:1d:9a:b7"


def test_a_status_stands_for_a_poll() -> None:
    poll = poll_of(StarStatus("420%20Cover%20open", True))
    assert poll is not None
    assert (poll.code, poll.is_online, poll.troubles) == ("420", False, ["cover open"])
    assert poll.printing_in_progress
    assert poll_of(StarStatus(None)) is None


@pytest.mark.parametrize(
    ("status", "named"),
    [
        (StarStatus("200"), None),
        (StarStatus("200", None, [StarAction("ClientType", "mC-Print3")]), None),
        (
            StarStatus("200", None, [StarAction("Encodings", "image/png; Text/Plain;")]),
            ["image/png", "text/plain"],
        ),
        (StarStatus("200", None, [StarAction("Encodings", None)]), []),
    ],
)
def test_a_printer_names_its_media_types_when_it_is_asked(
    status: StarStatus, named: list[str] | None
) -> None:
    assert media_in(status) == named


@pytest.mark.parametrize(
    ("registered", "named", "expected"),
    [
        ([], [], [PNG, TEXT]),
        ([], [TEXT], [TEXT]),
        ([], [TEXT, "application/x", MARKUP, PNG], [PNG, MARKUP, TEXT]),
        ([], ["application/vnd.star.starprnt"], [PNG, TEXT]),
        ([TEXT, PNG], [MARKUP], [TEXT, PNG]),
        ([MARKUP], [], [MARKUP]),
        (["application/vnd.star.starprnt"], [], [PNG, TEXT]),
    ],
)
def test_a_job_is_sent_in_a_type_that_the_printer_or_its_owner_has_named(
    registered: list[str], named: list[str], expected: list[str]
) -> None:
    assert media_over_mqtt(job(), registered, named, has_font=True) == expected


def test_without_a_font_nothing_is_sent_as_a_picture() -> None:
    assert media_over_mqtt(job(), [], [], has_font=False) == [TEXT]
    assert media_over_mqtt(job(), [PNG], [], has_font=False) == [TEXT]


def test_text_goes_as_it_is_and_pictures_in_base64() -> None:
    assert "테이블 5" in data_of(job(), TEXT, b"")
    assert "테이블 5" in data_of(job(), MARKUP, b"")
    assert b64decode(data_of(job(), PNG, b"\x89PNG")) == b"\x89PNG"


def test_what_may_have_been_printed_before_says_so() -> None:
    assert "REPEAT" not in data_of(job(language="en"), TEXT, b"")
    assert "REPEAT" in data_of(job(language="en", repeat=True), TEXT, b"")


def test_a_job_names_its_attempt() -> None:
    taken = job(state="sent", attempts=2)
    fields = job_fields(taken, TEXT, "x")
    assert fields["jobToken"] == f"{taken.id}.2"
    assert (fields["jobType"], fields["mediaTypes"], fields["printData"]) == ("raw", [TEXT], "x")


@pytest.mark.parametrize(
    ("result", "outcome"),
    [
        (StarResult("200%20OK", "t", True), ("done", "")),
        (StarResult("211%20Paper%20low", "t", True), ("done", "")),
        (StarResult("200%20OK", "t", None), ("done", "")),
        (StarResult(None, "t", True), ("done", "")),
        (StarResult("200%20OK", "t", False), ("doubt", "printer says 200")),
        (StarResult("410%20Out%20of%20paper", "t", False), ("doubt", "printer says 410")),
        (StarResult("420", "t"), ("doubt", "printer says 420")),
        (StarResult("510%20Incompatible", "t", False), ("fail", "printer says 510")),
        (StarResult("521", "t", False), ("fail", "printer says 521")),
        (StarResult("520%20Timeout", "t", False), ("doubt", "printer says 520")),
        (StarResult("540%20Same%20token", "t", False), None),
        (StarResult("200%20OK", None, True), None),
        (StarResult("410%20Out%20of%20paper", None, False), None),
        (StarResult("550", "t"), None),
        (StarResult(None, "t", False), None),
        (StarResult(), None),
    ],
)
def test_a_result_says_what_became_of_the_job_or_nothing(
    result: StarResult, outcome: tuple[Step, str] | None
) -> None:
    assert outcome_of_result(result) == outcome


def test_a_printer_is_asked_once_and_awaited_for_a_while() -> None:
    media = NamedMedia()
    assert media.ask(MAC, 10.0)
    assert not media.ask(MAC, 11.0)
    assert media.of(MAC, 11.0) is None
    assert media.of(MAC, 10.0 + ANSWERS_WITHIN_S) == []
    media.note(MAC, [TEXT], 20.0)
    assert media.of(MAC, 99.0) == [TEXT]
    media.forget(MAC)
    assert media.ask(MAC, 100.0)


def test_not_all_printers_are_remembered() -> None:
    media = NamedMedia(limit=2)
    for n in range(3):
        assert media.ask(str(n), 0.0)
    assert media.ask("0", 0.0)
    media.note("3", [TEXT], 0.0)
    assert not media.ask("3", 0.0)
