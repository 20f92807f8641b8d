"""A ticket on a printer of ESC/POS: what counts as printed, and what does not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from client_sdk.printer import printing
from client_sdk.printer.connections import SocketAddress, TerminalAddress
from client_sdk.printer.errors import PrinterError
from client_sdk.printer.printing import PaperTicket, Word, print_ticket, state_of
from client_sdk.printer_media.lines import Line
from client_sdk.printer_media.picture import picture_of
from tests.escpos_printer import EscPosPrinter, Paper
from tests.serving import serving

LINES = [Line("테이블 5", "large"), Line(style="rule"), Line("2   김밥", "bold"), Line("x")]
TEXT = "테이블 5\n" + "-" * 24 + "\n2   김밥\nx\n"


@dataclass
class Bench:
    """A printer, and what came out of it."""

    printer: EscPosPrinter
    address: SocketAddress
    papers: list[Paper]
    troubles: list[list[str]] = field(default_factory=list)

    async def print(self, media: str = "text") -> Word:
        ticket = PaperTicket(LINES, 24, media, 7)
        return await print_ticket(
            self.address, ticket, lambda troubles: self.troubles.append(list(troubles))
        )


@asynccontextmanager
async def bench(*, knows: bool = True, answers: bool = True) -> AsyncIterator[Bench]:
    papers: list[Paper] = []
    printer = EscPosPrinter(papers.append, knows_process_ids=knows, answers=answers)
    async with serving(printer.serve) as port:
        yield Bench(printer, SocketAddress("127.0.0.1", port), papers)


@pytest.fixture
async def well() -> AsyncIterator[Bench]:
    async with bench() as made:
        yield made


async def until(condition: object, bench: Bench) -> None:
    assert callable(condition)
    while not condition():
        await bench.printer.changed.wait()
        bench.printer.changed.clear()


async def test_the_printers_process_id_is_its_word(well: Bench) -> None:
    assert await well.print() == Word("done", "process id")
    assert [paper.text for paper in well.papers] == [TEXT]


async def test_without_process_ids_the_paper_status_behind_the_cut_is_its_word() -> None:
    async with bench(knows=False) as older:
        assert await older.print() == Word("done", "paper status")
        assert len(older.papers) == 1


async def test_a_picture_comes_out_as_it_was_drawn(well: Bench) -> None:
    assert (await well.print("picture")).outcome == "done"
    (paper,) = well.papers
    drawn = picture_of(LINES, 24)
    assert paper.picture.size == drawn.size
    assert paper.picture.tobytes() == drawn.tobytes()


async def test_a_printer_that_says_nothing_makes_it_doubtful(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("WORD_S", "ANSWER_S", "_ASK_EVERY_S"):
        monkeypatch.setattr(printing, name, 0.05)
    async with bench(answers=False) as mute:
        assert await mute.print() == Word("doubt", printing.MUTE)


async def test_a_connection_that_breaks_in_the_middle_makes_it_doubtful(well: Bench) -> None:
    well.printer.hang_up_after = 20
    assert (await well.print()).outcome == "doubt"
    assert well.papers == []


async def test_a_printer_that_is_not_there_makes_it_doubtful_too() -> None:
    async with serving(EscPosPrinter(print).serve) as port:
        pass
    word = await print_ticket(
        SocketAddress("127.0.0.1", port), PaperTicket(LINES, 24, "text", 1), lambda _: None
    )
    assert word.outcome == "doubt"


async def test_paper_that_ends_in_the_ticket_is_told_and_waited_for(well: Bench) -> None:
    well.printer.has_paper = False
    job = asyncio.create_task(well.print())
    while well.troubles != [["paper end"]]:
        await asyncio.wait([job], timeout=0.05)
        assert not job.done()
    well.printer.has_paper = True
    assert (await job).outcome == "done"
    assert len(well.papers) == 1


@pytest.mark.parametrize(("paper", "cover", "told"), [(False, False, "paper end"),
                                                      (True, True, "cover open")])  # fmt: skip
async def test_what_stops_the_printer_is_known_before_a_job_is_taken(
    well: Bench, paper: bool, cover: bool, told: str
) -> None:
    well.printer.has_paper, well.printer.cover_is_open = paper, cover
    assert (await state_of(well.address)).troubles == [told]


async def test_a_printer_that_is_well_has_no_troubles(well: Bench) -> None:
    state = await state_of(well.address)
    assert (state.troubles, state.warnings) == ([], [])


async def test_a_mute_printer_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(printing, "ANSWER_S", 0.05)
    async with bench(answers=False) as mute:
        with pytest.raises(PrinterError):
            await state_of(mute.address)


async def test_a_terminal_shows_text_and_that_is_its_word() -> None:
    shown: list[str] = []
    word = await print_ticket(
        TerminalAddress(shown.append), PaperTicket(LINES, 24, "picture", 1), lambda _: None
    )
    assert word.outcome == "done"
    assert shown == [f"{TEXT}\n"]
