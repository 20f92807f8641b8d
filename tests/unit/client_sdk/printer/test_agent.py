"""The agent: in order, one at a time, and never twice without saying so."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace

from client_sdk.errors import UnreachableError
from client_sdk.printer.agent import Agent
from client_sdk.printer.connections import TerminalAddress
from client_sdk.printer.errors import AgentError, HeldError
from client_sdk.printer.journal import Journal, PrintOutcome
from client_sdk.printer.source import Job, Taken
from client_sdk.printer_media.lines import Line


def job(name: str, seq: int, **more: object) -> Job:
    made = Job(name, seq, 1, "queued", "en", 24, "text", [Line(name)])
    return replace(made, **more)


class Core:
    """Core, as far as an agent sees it; the jobs are by id."""

    def __init__(self, *jobs: Job) -> None:
        self.all = {one.id: one for one in jobs}
        self.told: list[tuple[str, int, PrintOutcome]] = []
        self.held: list[tuple[list[str], bool]] = []
        self.holder: str | None = None
        self.faults: list[Exception] = []
        self.repeat: set[str] = set()
        self.agent = ""
        self.news = asyncio.Event()
        self.is_strict = False
        """Whether a job is given only when all before it are over, as over MQTT."""
        self.lags = False
        """Whether what is shown stays as it is, whatever was told."""

    def jobs(self) -> list[Job]:
        return sorted(self.all.values(), key=lambda one: one.seq)

    async def changed(self, within_s: float) -> None:
        await asyncio.sleep(0)
        if all(one.state in ("done", "failed") for one in self.all.values()):
            self.news.set()

    async def hold(self, troubles: Sequence[str], *, leaving: bool = False) -> None:
        if self.holder is not None and not leaving:
            raise HeldError("another agent prints")
        self.held.append((list(troubles), leaving))

    async def take(self, job: Job) -> Taken | None:
        self._fail()
        now = self.all[job.id]
        before = [one for one in self.jobs() if one.seq < now.seq]
        if self.is_strict and any(one.is_ready for one in before):
            return None
        if now.state == "sent" and now.agent == self.agent:
            return Taken("sent", now.attempts, now.id in self.repeat)
        if now.state != "queued":
            self.repeat.add(now.id)
        taken = replace(now, state="sent", attempts=now.attempts + 1, agent=self.agent)
        self.all[job.id] = taken
        return Taken("sent", taken.attempts, now.id in self.repeat)

    async def tell(self, job: str, attempt: int, outcome: PrintOutcome, detail: str) -> None:
        self._fail()
        self.told.append((job, attempt, outcome))
        states = {"done": "done", "fail": "failed", "doubt": "doubtful"}
        if not self.lags:
            self.all[job] = replace(self.all[job], state=states[outcome])
        if self.all[job].state == "done" or self.lags:
            self.news.set()

    def _fail(self) -> None:
        if self.faults:
            raise self.faults.pop()


class Bench:
    """An agent with a journal and a terminal."""

    def __init__(self, core: Core, path: Path) -> None:
        self.core = core
        self.journal = Journal(path / "journal")
        core.agent = self.journal.agent
        self.shown: list[str] = []
        self.said: list[str] = []
        self.agent = Agent(core, self.journal, TerminalAddress(self.shown.append), self.said.append)

    @property
    def printed(self) -> list[str]:
        """The first line of each ticket."""
        return [text.split("\n", 1)[0].strip() for text in self.shown]

    async def run_until(self, condition: object) -> None:
        assert callable(condition)
        running = asyncio.create_task(self.agent.run())
        try:
            async with asyncio.timeout(30):
                while not condition():
                    done, _ = await asyncio.wait([running], timeout=0.02)
                    if done:
                        running.result()
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            self.journal.close()


async def test_jobs_are_printed_in_order_and_told(tmp_path: Path) -> None:
    core = Core(job("b", 2), job("a", 1), job("c", 3))
    bench = Bench(core, tmp_path)
    await bench.run_until(lambda: len(core.told) == 3)
    assert bench.printed == ["a", "b", "c"]
    assert core.told == [("a", 1, "done"), ("b", 1, "done"), ("c", 1, "done")]


async def test_what_was_begun_before_a_crash_prints_again_as_a_repeat(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    journal.begin("a", 1)
    agent = journal.agent
    journal.close()
    core = Core(job("a", 1, state="sent", attempts=1, agent=agent))
    bench = Bench(core, tmp_path)
    await bench.run_until(lambda: ("a", 2, "done") in core.told)
    assert core.told == [("a", 1, "doubt"), ("a", 2, "done")]
    assert bench.printed == ["REPEAT"]


async def test_what_was_taken_and_not_begun_before_a_crash_is_no_repeat(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    agent = journal.agent
    journal.close()
    core = Core(job("a", 1, state="sent", attempts=1, agent=agent))
    bench = Bench(core, tmp_path)
    await bench.run_until(lambda: core.told)
    assert bench.printed == ["a"]
    assert core.told == [("a", 1, "done")]


async def test_what_was_printed_before_a_crash_is_only_told(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    journal.end(journal.begin("a", 1), "done", "process id")
    agent = journal.agent
    journal.close()
    core = Core(job("a", 1, state="sent", attempts=1, agent=agent))
    bench = Bench(core, tmp_path)
    await bench.run_until(lambda: core.told)
    assert bench.printed == []
    assert core.told == [("a", 1, "done")]


async def test_what_core_has_forgotten_to_be_printed_is_not_printed_again(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    entry = journal.begin("a", 1)
    journal.end(entry, "done", "")
    journal.told(entry)
    journal.close()
    core = Core(job("a", 1))
    bench = Bench(core, tmp_path)
    await bench.run_until(lambda: core.told)
    assert bench.printed == []
    assert core.told == [("a", 1, "done")]


async def test_what_core_takes_to_be_under_way_and_is_printed_is_told_again(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    entry = journal.begin("a", 1)
    journal.end(entry, "done", "process id")
    journal.told(entry)
    agent = journal.agent
    journal.close()
    core = Core(job("a", 1, state="sent", attempts=1, agent=agent), job("b", 2))
    core.is_strict = True
    bench = Bench(core, tmp_path)
    await bench.run_until(lambda: ("b", 1, "done") in core.told)
    assert core.told == [("a", 1, "done"), ("b", 1, "done")]
    assert bench.printed == ["b"]


async def test_a_job_that_a_restore_gave_the_id_of_a_printed_one_is_printed(tmp_path: Path) -> None:
    core = Core(job("a", 1, made_at="12:00"))
    before = Bench(core, tmp_path)
    await before.run_until(lambda: core.told)
    core = Core(job("a", 1, made_at="12:30", lines=[Line("cancelled")]))
    after = Bench(core, tmp_path)
    await after.run_until(lambda: core.told)
    assert before.printed + after.printed == ["a", "cancelled"]
    assert core.told == [("a", 1, "done")]


async def test_what_was_told_of_a_job_is_not_told_of_another_with_its_id(tmp_path: Path) -> None:
    core = Core(job("a", 1, made_at="12:00"))
    before = Bench(core, tmp_path)
    await before.run_until(lambda: core.told)
    taken = job("a", 1, made_at="12:30", state="sent", attempts=1, agent=core.agent)
    core = Core(taken, job("b", 2))
    after = Bench(core, tmp_path)
    await after.run_until(lambda: ("b", 1, "done") in core.told)
    assert after.printed == ["a", "b"]


async def test_a_job_that_was_begun_before_a_crash_is_known_with_its_time(tmp_path: Path) -> None:
    core = Core(job("a", 1, made_at="12:00"))
    before = Bench(core, tmp_path)
    core.lags = True
    await before.run_until(lambda: core.told)
    core.lags = False
    after = Bench(core, tmp_path)
    await after.run_until(lambda: len(core.told) == 2)
    assert before.printed == ["a"]
    assert after.printed == []


async def test_what_an_earlier_release_noted_by_id_alone_is_doubtful(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    entry = journal.begin("a", 1)
    journal.end(entry, "done", "process id")
    journal.told(entry)
    agent = journal.agent
    journal.close()
    core = Core(job("a", 1, made_at="12:00", state="sent", attempts=1, agent=agent))
    bench = Bench(core, tmp_path)
    await bench.run_until(lambda: ("a", 2, "done") in core.told)
    assert core.told == [("a", 1, "doubt"), ("a", 2, "done")]
    assert bench.printed == ["REPEAT"]


async def test_what_core_was_told_a_moment_ago_is_not_told_again(tmp_path: Path) -> None:
    core = Core(job("a", 1), job("b", 2))
    core.lags = True
    bench = Bench(core, tmp_path)
    await bench.run_until(lambda: ("b", 1, "done") in core.told)
    assert core.told == [("a", 1, "done"), ("b", 1, "done")]


async def test_a_view_that_lags_behind_prints_nothing_twice(tmp_path: Path) -> None:
    core = Core(job("a", 1))
    core.lags = True
    bench = Bench(core, tmp_path)
    turns = 0

    def settled() -> bool:
        nonlocal turns
        turns += bool(core.told)
        return turns > 5

    await bench.run_until(settled)
    assert bench.printed == ["a"]


async def test_core_that_is_away_is_asked_again_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("client_sdk.printer.agent.AGAIN_S", 0.01)
    core = Core(job("a", 1))
    core.faults = [UnreachableError("away"), UnreachableError("away")]
    bench = Bench(core, tmp_path)
    await bench.run_until(lambda: core.told)
    assert bench.printed == ["a"]
    assert "away" in bench.said


async def test_while_another_agent_prints_this_one_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("client_sdk.printer.agent.AGAIN_S", 0.01)
    core = Core(job("a", 1))
    core.holder = "other"
    bench = Bench(core, tmp_path)
    await bench.run_until(lambda: "another agent prints" in bench.said)
    assert bench.printed == []


async def test_what_waits_for_a_person_is_left(tmp_path: Path) -> None:
    core = Core(job("a", 1, state="doubtful", waits=True), job("b", 2))
    bench = Bench(core, tmp_path)
    await bench.run_until(lambda: core.told)
    assert bench.printed == ["b"]


async def test_an_agent_that_ends_lets_the_printer_go(tmp_path: Path) -> None:
    core = Core()
    bench = Bench(core, tmp_path)
    await bench.run_until(lambda: core.held)
    assert core.held[-1] == ([], True)


async def test_a_refused_token_ends_it(tmp_path: Path) -> None:
    core = Core(job("a", 1))
    core.faults = [AgentError("Core answers 403")]
    with pytest.raises(AgentError, match="403"):
        await Bench(core, tmp_path).run_until(lambda: False)


async def test_a_printer_that_turns_out_to_be_anothers_is_tried_again(tmp_path: Path) -> None:
    core = Core(job("a", 1))
    core.faults = [HeldError("another agent prints")]
    bench = Bench(core, tmp_path)
    await bench.run_until(lambda: core.told)
    assert bench.printed == ["a"]
    assert "another agent prints" in bench.said
