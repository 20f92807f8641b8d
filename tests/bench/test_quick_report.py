"""How the report of a quick run of the benchmarks shows a change."""

from __future__ import annotations

import pytest

from tests.bench.quick.results import (
    KEPT,
    OPERATIONS,
    Figure,
    Result,
    Round,
    decode,
    encode,
    figures,
    kept,
    report,
)

RED, GREEN, PLAIN = "\x1b[31m", "\x1b[32m", "\x1b[0m"


def result(ratio: float, machine: str = "2 cores of any", commit: str = "c") -> Result:
    return Result("2026-11-23", commit, machine, 3, 0.5, {"order": Figure(200.0, ratio)})


def change(new: float, *before: Result, colours: bool = True) -> str:
    (line,) = list(report(result(new), before, colours=colours))[2:]
    return line


def test_a_ratio_is_the_median_of_the_ratios_of_each_round() -> None:
    rounds: list[Round] = [
        {"order": 200.0, "bare answer": 10.0},
        {"order": 900.0, "bare answer": 30.0},
        {"order": 300.0, "bare answer": 30.0},
    ]
    assert figures(rounds) == {"order": Figure(300.0, 20.0)}


def test_each_operation_has_what_it_is_compared_with() -> None:
    one: Round = dict.fromkeys(OPERATIONS, 6.0)
    one |= {"bare delivery": 2.0, "bare connect": 3.0, "bare answer": 1.0}
    found = {name: figure.ratio for name, figure in figures([one]).items()}
    assert found == {"delivery": 3.0, "connect": 2.0} | dict.fromkeys(list(OPERATIONS)[2:], 6.0)


def test_only_the_last_ten_runs_are_kept() -> None:
    before = [result(1.0, commit=str(n)) for n in range(KEPT)]
    commits = [one.commit for one in kept(before, result(2.0, commit="new"))]
    assert commits == [*(str(n) for n in range(1, KEPT)), "new"]


def test_a_change_is_told_beside_the_median_of_the_earlier_runs() -> None:
    line = change(11.0, result(9.0), result(10.0), result(30.0))
    assert line.split() == ["order", "200.00", "11.00", "10.00", "+10%"]


@pytest.mark.parametrize(
    ("ratio", "shown"),
    [
        (11.6, f"{RED}{'+16%':>10}{PLAIN}"),
        (11.4, f"{'+14%':>10}"),
        (8.6, f"{'-14%':>10}"),
        (8.4, f"{GREEN}{'-16%':>10}{PLAIN}"),
    ],
)
def test_more_than_fifteen_per_cent_is_coloured(ratio: float, shown: str) -> None:
    assert change(ratio, result(10.0)).endswith(shown)


def test_without_colours_the_text_is_the_same() -> None:
    assert change(20.0, result(10.0), colours=False).endswith(f"{'+100%':>10}")


def test_runs_of_another_machine_are_left_aside() -> None:
    assert change(20.0, result(10.0, machine="8 cores of others")).endswith("new")


def test_an_operation_that_is_new_has_nothing_to_be_compared_with() -> None:
    earlier = Result("2026-11-22", "b", "2 cores of any", 3, 0.5, {})
    assert change(20.0, earlier).endswith("new")


def test_the_file_is_read_as_it_was_written() -> None:
    assert decode(encode([result(1.5), result(2.5)])) == [result(1.5), result(2.5)]
