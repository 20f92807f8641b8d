"""A restaurant's kitchen with a printer, lamps and a bell, in which orders are placed all the time.

It has a store of its own, so that all that its printer, its devices and its program have received
can be compared with Core's tables.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final

import httpx

from deploy.processes.ports import LOOPBACK, free_port
from deploy.processes.process import Process
from server_common.devices.identity import parse_user
from server_common.mqtt.broker import Broker
from tests.chaos.kitchen.door import Door
from tests.chaos.kitchen.names import BELL, LAMPS, PRINTER, STORE
from tests.chaos.kitchen.program import Program
from tests.chaos.kitchen.proof import count_repeats, judge_commands, judge_events, judge_papers
from tests.chaos.kitchen.records import Records
from tests.chaos.kitchen.staff import Staff
from tests.chaos.proof import Ledger, Verdict
from tests.chaos.wire import FaultProxy
from tests.mqtt_parts import KeepingDevice, until_it_connects_with

_ROUTING: Final = {"statuses": ["placed"], "language": "en", "media": "text", "max_age_s": 3600}
_LOOK_EVERY_S: Final = 0.2


class Kitchen:
    """The restaurant.

    Args:
        core_port: Core's port on loopback; the printer's agent reaches Core through a proxy.
        token: the access token of the store's owner.
        door: the broker and the gateways.
        ledger: reads Core's tables.
        folder: for journals, printed tickets and logs.
    """

    def __init__(
        self, core_port: int, token: str, door: Door, ledger: Ledger, folder: Path
    ) -> None:
        self._core_url, self._token = f"http://{LOOPBACK}:{core_port}", token
        self.door = door
        self._ledger, self._records, self._folder = ledger, Records(ledger), folder
        printer_port = free_port()
        self.core_wire = FaultProxy(free_port(), [core_port])
        self.printer_wire = FaultProxy(free_port(), [printer_port])
        self.printer = Process(
            "printer",
            [sys.executable, "-m", "tests.escpos_printer", str(printer_port),
             str(folder / "papers")],
            {}, folder / "printer.log", None,
        )  # fmt: skip
        self.agents: list[Process] = []
        """Two agents of the printer; only some scenarios start the second one."""
        self.bell: KeepingDevice
        self.program: Program
        self.staff: Staff
        self._lamps: list[KeepingDevice] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._presses_before = self._papers_before = 0

    @property
    def wires(self) -> list[FaultProxy]:
        """The proxies around the printer's agent."""
        return [self.core_wire, self.printer_wire]

    @property
    def papers(self) -> list[str]:
        """The text of each ticket, in the order in which they were printed."""
        return [path.read_text() for path in sorted((self._folder / "papers").glob("*.txt"))]

    async def open(self) -> None:
        """Register the devices, start the printer and its agent, and connect all devices."""
        for wire in self.wires:
            await wire.start()
        await self._say_what_prints()
        printer, bell = await self.register(PRINTER), await self.register(BELL)
        self.bell = _device(bell)
        self._lamps = [_device(await self.register(name)) for name in LAMPS]
        terminal = await self.register("terminal-1")
        await until_it_connects_with(terminal)
        self.printer.start()
        self.agents = [self._agent(printer, name) for name in ("agent", "agent-2")]
        self.agents[0].start()
        self.staff = Staff(self._core_url, self._token, self.bell, self._records)
        self.program = Program(self._core_url, self._token, f"store:{STORE}", terminal)
        for work in (self.staff.run(), *(one.run() for one in (self.bell, *self._lamps))):
            self._spawn(work)
        self.program.start()
        await self.program.started.wait()

    async def stop(self) -> None:
        """End all tasks and processes of the kitchen."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._tasks:
            await self.program.stop()
        for process in (*self.agents, self.printer):
            process.resume()
            await asyncio.to_thread(process.kill)
        for wire in self.wires:
            wire.clear()
            await wire.stop()

    def start(self) -> None:
        """Order, press the bell and command lamps until paused; begin a new record."""
        self.program.turn_page()
        self._presses_before = self.bell.said
        self._papers_before = len(self.papers)
        self.staff.start()

    async def heal(self) -> list[str]:
        """End all faults. Returns which processes had ended by themselves, with their logs."""
        for wire in self.wires:
            wire.clear()
            await wire.start()
        for process in (self.printer, *self.agents):
            process.resume()
        first, *others = self.agents
        for other in others:
            await asyncio.to_thread(other.stop)
        dead = [process for process in (self.printer, first) if not process.running]
        words = [f"{p.name} ended by itself: {p.log_tail()[-200:].strip()}" for p in dead]
        for process in dead:
            process.start()
        return words

    async def register(self, name: str) -> Broker:
        """Register a device of the store. Returns the broker with the device's credentials."""
        answer = await self._put(f"/v1/stores/{STORE}/devices/{name}", {})
        made = answer.json()
        return self.door.broker(made["user"], made["password"])

    async def printed(self, more: int) -> bool:
        """Whether so many tickets were printed in this scenario."""
        return len(self.papers) - self._papers_before >= more

    async def is_level(self) -> bool:
        """Whether the program has received all events of the log."""
        return self.program.at >= await self._records.head()

    async def judge(self, within_s: float) -> tuple[Verdict, str]:
        """Wait until everything has arrived, and compare it with Core's tables.

        The wait ends when nothing has arrived anywhere for `within_s` seconds. Returns the verdict,
        and a short text about what was done.
        """
        staff, presses = self.staff, self._presses_before
        staff.pause()
        arrived, deadline = await self._arrived(), time.monotonic() + within_s
        while time.monotonic() < deadline and not await self._is_at_rest():
            await asyncio.sleep(_LOOK_EVERY_S)
            if (now := await self._arrived()) != arrived:
                arrived, deadline = now, time.monotonic() + within_s
        papers = self.papers[self._papers_before :]
        verdict = judge_papers(staff.ordered, papers, await self._records.unprinted())
        states = await self._records.states()
        verdict.add(judge_commands({name: states.get(name) for name in staff.commanded}))
        history = await self._records.pressed()
        kept = {n for n, (kind, _) in self.bell.waiting.items() if kind == "event"}
        verdict.add(judge_events("the bell", self.bell.said, history, presses, kept))
        verdict.add(await self.program.judge(self._ledger))
        said = (
            f"{len(staff.ordered)} orders on {len(papers)} tickets "
            f"({count_repeats(papers)} marked REPEAT), {self.bell.said - presses} presses, "
            f"{len(staff.commanded)} commands, {self.program.count} events over MQTT"
        )
        return verdict, said

    async def _arrived(self) -> tuple[int, ...]:
        """Numbers of which one grows when something arrives: tickets, answers, events."""
        states = await self._records.states()
        done = sum(state == "done" for state in states.values())
        waiting = sum(len(one.waiting) for one in (self.bell, *self._lamps))
        return len(self.papers), done, -waiting, self.program.at

    async def _is_at_rest(self) -> bool:
        if not self.staff.is_at_rest or any(one.waiting for one in (self.bell, *self._lamps)):
            return False
        states = await self._records.states()
        if any(states.get(name) != "done" for name in self.staff.commanded):
            return False
        if judge_papers(self.staff.ordered, self.papers[self._papers_before :]).lost:
            return False
        jobs = await self._records.jobs()
        return all(job["state"] == "done" for job in jobs.values()) and await self.is_level()

    def _agent(self, printer: Broker, name: str) -> Process:
        return Process(
            name,
            [
                *(sys.executable, "-m", "client_sdk.cli", "printer", "--sse", "--store", STORE),
                *("--device", PRINTER, "--to", f"socket://{LOOPBACK}:{self.printer_wire.port}"),
                *("--core", f"http://{LOOPBACK}:{self.core_wire.port}", "--user", printer.user),
                *("--journal", str(self._folder / f"{name}.journal")),
            ],
            {"YABAM_DEVICE_PASSWORD": printer.password},
            self._folder / f"{name}.log",
            None,
        )

    async def _say_what_prints(self) -> None:
        edit = {
            "n": 1,
            "channel": f"team:{STORE}",
            "key": "printing",
            "do": {"set": {"printers": {PRINTER: _ROUTING}}},
        }
        async with self._http() as http:
            answer = await http.post("/v1/edits", json={"client": "chaos", "edits": [edit]})
        answer.raise_for_status()

    async def _put(self, path: str, body: dict[str, Any]) -> httpx.Response:
        async with self._http() as http:
            return (await http.put(path, json=body)).raise_for_status()

    def _http(self) -> httpx.AsyncClient:
        headers = {"authorization": f"Bearer {self._token}"}
        return httpx.AsyncClient(base_url=self._core_url, headers=headers, timeout=20)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.create_task(work))


def _device(broker: Broker) -> KeepingDevice:
    return KeepingDevice(broker, parse_user(broker.user))
