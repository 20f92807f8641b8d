"""A printer's answers are told apart."""

from __future__ import annotations

import pytest

from client_sdk.printer.replies import Replies, Reply, is_paper_there, troubles_of, warnings_of

PROCESS = b"\x37\x22ab!~\x00"


def test_the_three_kinds_are_told_apart() -> None:
    assert Replies().feed(b"\x12" + PROCESS + b"\x00\x1a") == [
        Reply("status", 0x12),
        Reply("process", process="ab!~"),
        Reply("paper", 0),
        Reply("status", 0x1A),
    ]


def test_answers_may_come_in_pieces() -> None:
    replies = Replies()
    found = [one for byte in PROCESS for one in replies.feed(bytes((byte,)))]
    assert found == [Reply("process", process="ab!~")]


@pytest.mark.parametrize("byte", [0x11, 0x13, 0x96, 0xFF])
def test_what_is_no_answer_is_left_out(byte: int) -> None:
    assert Replies().feed(bytes((byte,))) == []


def test_a_block_of_another_kind_is_left_out() -> None:
    assert Replies().feed(b"\x37\x70\x40\x00\x12") == [Reply("status", 0x12)]


def test_a_block_without_an_end_is_given_up() -> None:
    replies = Replies()
    replies.feed(b"\x37" + b"x" * 64)
    assert replies.feed(b"\x12") == [Reply("status", 0x12)]


@pytest.mark.parametrize(
    ("answers", "troubles"),
    [
        ((0x12, 0x12, 0x12), []),
        ((0x1A, 0x16, 0x12), ["cover open"]),
        ((0x1A, 0x32, 0x7E), ["paper end"]),
        ((0x1A, 0x12, 0x7E), ["paper end"]),
        ((0x1A, 0x52, 0x12), ["printer error"]),
        ((0x1A, 0x12, 0x12), ["offline"]),
        ((None, None, None), []),
    ],
)
def test_troubles_are_told_by_name(
    answers: tuple[int | None, int | None, int | None], troubles: list[str]
) -> None:
    assert troubles_of(*answers) == troubles


def test_paper_that_is_low_is_a_warning() -> None:
    assert warnings_of(0x1E) == ["paper low"]
    assert warnings_of(0x12) == []


def test_the_answer_behind_the_cut_says_whether_there_was_paper() -> None:
    assert is_paper_there(0x00)
    assert is_paper_there(0x03)
    assert not is_paper_there(0x0C)
