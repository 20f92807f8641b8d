"""Run every kept input and a few new ones; `python -m tests.fuzz` runs for longer."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings

from tests.fuzz.inputs import inputs
from tests.fuzz.targets import CORPUS, TARGETS

_SLOW = {"events-socket": 40, "core-socket": 40, "record": 150}
_KEPT = [(target.name, seed) for target in TARGETS.values() for seed in target.seeds()]


@pytest.mark.xdist_group("fuzz")
@pytest.mark.parametrize(("name", "seed"), _KEPT, ids=lambda value: str(value))
def test_a_kept_input_finds_no_fault(name: str, seed: str) -> None:
    TARGETS[name].check(TARGETS[name].seeds()[seed])


@pytest.mark.xdist_group("fuzz")
@pytest.mark.parametrize("name", TARGETS)
def test_a_short_run_of_new_inputs_finds_no_fault(name: str) -> None:
    target = TARGETS[name]

    @settings(
        max_examples=_SLOW.get(name, 300),
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(data=inputs(target))
    def run(data: bytes) -> None:
        target.check(data)

    run()


def test_each_target_has_a_corpus_and_each_corpus_a_target() -> None:
    assert {file.stem for file in CORPUS.iterdir()} == set(TARGETS)
    assert all(len(target.seeds()) >= 3 for target in TARGETS.values())


def test_changes_of_a_seed_reach_what_plain_bytes_do_not() -> None:
    seen = set()
    target = TARGETS["sync-query"]

    @settings(max_examples=200, database=None, derandomize=True)
    @given(data=inputs(target))
    def run(data: bytes) -> None:
        for word in (b"channel=", b"lastEventId=", b"wait="):
            if word in data:
                seen.add(word)

    run()
    assert len(seen) == 3
