"""A Star printer (CloudPRNT) while Cores of both releases serve it, and after a way back.

v0.2.0-alpha.1 computes a job's name again when a printer asks for the job. So it offers a ticket
that a new Core has named by date, and then does not find it. docs/deployment.md says to set
`YABAM_PRINT_NAMES=plain` at the new Cores before. This tests both, with the code of both releases.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx

from deploy.local.stack import Addresses, Stack, free_ports
from deploy.processes.ports import free_port
from tests.chaos.proof import Verdict
from tests.drilled_postgres import DrilledPostgres
from tests.drills.upgrading.orders import Code
from tests.integration.core_service import KEYS, an_order, bearer, token
from tests.star_printer import StarPrinter

_STORE: Final = "star-kitchen"
_PRINTER: Final = "star-1"
_WITHIN_S: Final = 120.0
_TRIES: Final = 20
"""After so many polls, a ticket that is offered but not found counts as stuck."""
_PLAIN: Final = {"YABAM_PRINT_NAMES": "plain"}


class StarKitchen:
    """A store with one Star printer, and with its own database.

    Args:
        code: the code of both releases.
        folder: for data and logs; other users must be able to enter it.
        http: sends requests to Cores.
    """

    def __init__(self, code: Code, folder: Path, http: httpx.AsyncClient) -> None:
        self._code = code
        self._folder = folder
        self._http = http
        self._postgres = DrilledPostgres(folder / "star-postgres", durable=False)
        self._database = self._postgres.url
        self._secret = ""
        self._owner = bearer(token("owner", _STORE))
        self._starts = 0
        self._ordered = 0
        self._printed: list[bytes] = []

    async def rehearse(self) -> Verdict:
        """Test the way back without the setting, which must fail as the docs say, and with it."""
        await asyncio.to_thread(self._postgres.start)
        try:
            return await self._rehearsed()
        finally:
            await asyncio.to_thread(self._postgres.stop_at_once)

    async def _rehearsed(self) -> Verdict:
        with self._core(self._code.new) as new:
            await self._set_up(new)
            await self._order(new)
            await self._until_offered(new)
        with self._core(self._code.old) as old:
            await self._order(old)
            is_stuck = not await self._prints(old, _TRIES)
            # A new Core beside it still answers for the jobs already named.
            # New jobs get plain names.
            with self._core(self._code.new, _PLAIN) as new:
                await self._print_all(new)
                for core in (old, new):
                    await self._order(core)
                    await self._print_all(core)
        # Only this Core runs, so it is the one that names the job.
        with self._core(self._code.new, _PLAIN) as new:
            await self._order(new)
            await self._until_offered(new)
        with self._core(self._code.old) as old:
            await self._print_all(old)
            await self._order(old)
            await self._print_all(old)
        stuck = self._ordered - len(self._printed)
        with self._core(self._code.new) as new:
            await self._order(new)
            await self._print_all(new)
        missing = self._ordered - len(self._printed)
        notes = []
        if missing:
            notes.append(f"star printer: {missing} tickets did not come out at the end")
        if stuck:
            notes.append(f"star printer: the previous release could not print {stuck} tickets")
        if not is_stuck:
            notes.append("star printer: the previous release hands over dated jobs; say so")
        return Verdict(max(0, missing), max(0, -missing), late=max(0, stuck), notes=notes)

    @contextmanager
    def _core(
        self, code: Mapping[str, str], more: Mapping[str, str] | None = None
    ) -> Iterator[str]:
        """Run a Core of a release for the time of a block. Yields its address."""
        self._starts += 1
        folder = self._folder / f"star-core-{self._starts}"
        addresses = Addresses(self._database, f"127.0.0.1:{free_port()}", ports=free_ports())
        stack = Stack(addresses, KEYS, folder, {**code, **(more or {})})
        if self._starts == 1:
            stack.migrate()
        stack.core.start()
        try:
            stack.core.wait_ready(_WITHIN_S)
            yield stack.core_url
        finally:
            stack.core.stop()

    async def _set_up(self, core: str) -> None:
        made = await self._http.put(
            f"{core}/v1/stores/{_STORE}/devices/{_PRINTER}", json={}, headers=self._owner
        )
        made.raise_for_status()
        self._secret = f"{made.json()['user']}.{made.json()['password']}"
        routing = {"printers": {_PRINTER: {"statuses": ["placed"]}}}
        edit = {"n": 1, "channel": f"team:{_STORE}", "key": "printing", "do": {"set": routing}}
        edited = await self._http.post(
            f"{core}/v1/edits", json={"client": "drill", "edits": [edit]}, headers=self._owner
        )
        edited.raise_for_status()

    async def _order(self, core: str) -> None:
        placed = await self._http.post(
            f"{core}/v1/orders", json=an_order(_STORE), headers=self._owner
        )
        placed.raise_for_status()
        self._ordered += 1

    def _printer(self, core: str) -> StarPrinter:
        return StarPrinter(f"{core}/cloudprnt/{self._secret}/printer", self._http, ("text/plain",))

    async def _until_offered(self, core: str) -> None:
        """Wait until the job is created and offered; it is not printed."""
        async with asyncio.timeout(_WITHIN_S):
            while not (await self._printer(core).poll())["jobReady"]:  # noqa: ASYNC110
                await asyncio.sleep(0.1)

    async def _prints(self, core: str, tries: int) -> bool:
        """Whether the printer prints a ticket within so many polls of this Core."""
        printer = self._printer(core)
        for _ in range(tries):
            if await printer.cycle():
                self._printed += [body for _, body in printer.papers]
                return True
            await asyncio.sleep(0.1)
        return False

    async def _print_all(self, core: str) -> None:
        """Poll this Core until all tickets are printed, or none is printed any more."""
        while len(self._printed) < self._ordered:
            if not await self._prints(core, int(_WITHIN_S / 0.1)):
                return


async def rehearse_star_printer(code: Code, folder: Path) -> Verdict:
    """Test whether a Star printer prints all tickets with Cores of both releases.

    Args:
        code: the code of both releases.
        folder: for data and logs.
    """
    async with httpx.AsyncClient(timeout=30) as http:
        return await StarKitchen(code, folder, http).rehearse()
