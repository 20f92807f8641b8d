"""The tests' own printer: a ticket comes out once, whoever else is connected to it."""

from __future__ import annotations

import asyncio

from tests.escpos_printer import EscPosPrinter
from tests.serving import serving

CUT = b"\x1dV\x00"


async def test_a_ticket_comes_out_once_while_another_connection_sends() -> None:
    out: list[str] = []
    is_out = asyncio.Event()

    def cut(paper: object) -> None:
        out.append(getattr(paper, "text", ""))
        is_out.set()

    async with serving(EscPosPrinter(cut, printing_s=0.2).serve) as port:
        _, first = await asyncio.open_connection("127.0.0.1", port)
        _, second = await asyncio.open_connection("127.0.0.1", port)
        first.write(b"K-1" + CUT)
        await is_out.wait()
        second.write(b"K-2" + CUT)
        is_out.clear()
        async with asyncio.timeout(10):
            while "K-2" not in out:
                await is_out.wait()
                is_out.clear()
        for writer in (first, second):
            writer.close()
            await writer.wait_closed()
    assert out == ["K-1", "K-2"]
