"""Jobs over MQTT: receives the printer's commands and sends the results.

Core answers each result after its commit. Its answer to `taken` has the attempt's number and says
whether the ticket must be marked REPEAT. So late and repeated messages do no harm.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Final, Literal, Self

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from client_sdk.contract.json_decoding import reader
from client_sdk.errors import UnreachableError
from client_sdk.mqtt.connection import MqttConnection
from client_sdk.printer.errors import AgentError, HeldError
from client_sdk.printer.journal import PrintOutcome
from client_sdk.printer.source import Job, Taken, job_of_document

_OWN: Final = ("commands", "accepted")
_PRINT: Final = "print"
_ANSWER_S: Final = 5.0
_TRIES: Final = 3
_MAX_SETTLED: Final = 1000
_MAX_DETAIL: Final = 200
_WORDS: Final[dict[PrintOutcome, str]] = {"done": "done", "fail": "failed", "doubt": "doubtful"}
_EARLIER: Final = "earlier"
_UNREADABLE: Final = "this agent cannot read the job: it needs a newer one"
_UNKNOWN: Final = "unknown-command"


class _Command(Struct, frozen=True):
    id: str
    name: str
    arguments: Any = None
    epoch: str = ""


class _JobNow(Struct, frozen=True):
    state: str
    attempts: int = 0
    repeat: bool = False


class _Accepted(Struct, frozen=True):
    boot: int
    n: int
    outcome: Literal["applied", "repeated", "refused"]
    problem: str | None = None
    job: _JobNow | None = None


_command: Final = reader(_Command)
_accepted: Final = reader(_Accepted)


class MqttSource:
    """A printer's jobs, over the broker.

    Args:
        host: the broker's host name.
        port: its port.
        user: the user name from the printer's registration.
        password: the password from the printer's registration.
        ca_file: the authorities (PEM) that may have signed the broker's certificate; None: those
            of the system.
        tls: whether to use TLS.
        agent: the id of this agent.
        boot: a number that grows with each start of the agent.
        answer_s: how long to wait for Core's answer before a message is sent again, in seconds.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        user: str,
        password: str,
        ca_file: str | None,
        tls: bool,
        agent: str,
        boot: int,
        answer_s: float = _ANSWER_S,
    ) -> None:
        self._agent = agent
        self._boot = boot
        self._answer_s = answer_s
        self._connection = MqttConnection(
            host, port, user=user, password=password, ca_file=ca_file, tls=tls, boot=boot,
            own=_OWN, hear=self._hear,
        )  # fmt: skip
        self._numbers = itertools.count(1)
        self._jobs: dict[str, Job] = {}
        self._settled: OrderedDict[tuple[str, int], None] = OrderedDict()
        self._epoch = ""
        self._answers: dict[int, asyncio.Future[_Accepted]] = {}
        self._unreadable: dict[str, None] = {}
        self._printing: str | None = None
        self._news = asyncio.Event()

    async def __aenter__(self) -> Self:
        await self._connection.__aenter__()
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self._connection.__aexit__(*raised)

    def jobs(self) -> list[Job]:
        """All jobs that are known, in the order in which they are printed."""
        return sorted(self._jobs.values(), key=lambda job: (job.seq, job.copy))

    async def changed(self, within_s: float) -> None:
        """Return once something may be new, or the time is over; raises as `hold`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._news.wait()
        self._news.clear()
        await self._refuse_unreadable()

    async def hold(self, troubles: Sequence[str], *, leaving: bool = False) -> None:
        """Report the printer's troubles; while a job is printed, also that this agent still has it.
        Raises as `JobSource.hold`.

        An idle agent need not hold the printer: taking a job does that.
        """
        if leaving:
            return
        self._connection.tell_troubles(troubles)
        if not self._connection.is_connected:
            raise UnreachableError(self._connection.trouble or "the MQTT broker does not answer")
        if self._printing is not None:
            await self._take(self._printing)

    async def take(self, job: Job) -> Taken | None:
        """Take a job; raises as `JobSource.take`."""
        now = await self._take(job.id)
        if now is not None and now.state == _EARLIER:
            return None  # the message of the next attempt follows
        known = self._jobs.get(job.id)
        if known is None or known.made_at != job.made_at:
            return None  # Core was restored: the message of the job that has the id now follows
        if now is None or now.state != "sent":
            self._jobs.pop(job.id, None)
            return None if now is None else Taken(now.state, now.attempts, now.repeat)
        self._jobs[job.id] = replace(
            job, state="sent", agent=self._agent, attempts=now.attempts, waits=False
        )
        self._printing = job.id
        return Taken(now.state, now.attempts, now.repeat)

    async def tell(self, job: str, attempt: int, outcome: PrintOutcome, detail: str) -> None:
        """Report the outcome of an attempt; raises as `JobSource.tell`.

        Args:
            job: the id of the job.
            attempt: the attempt's number, as `take` has returned it.
            outcome: `done`, `fail` or `doubt`, as for `JobSource.tell`.
            detail: for a person; cut after 200 characters.
        """
        self._printing = None
        # Refused: another agent has continued with the job; nothing more to report.
        answer = await self._ask(
            {
                "id": job,
                "outcome": _WORDS[outcome],
                "detail": _shown(detail),
                "agent": self._agent,
                "attempt": attempt,
            }
        )
        now = answer.job
        if now is not None and (now.state, now.attempts) == ("sent", attempt):
            raise UnreachableError("Core has not stored the result of a job")
        known = self._jobs.get(job)
        if known is not None and known.state == "sent" and known.attempts <= attempt:
            del self._jobs[job]
        self._settled[job, attempt] = None
        if len(self._settled) > _MAX_SETTLED:
            self._settled.popitem(last=False)

    async def _refuse_unreadable(self) -> None:
        """Report jobs that this agent cannot read as failed, so that the next ones are printed."""
        for job in tuple(self._unreadable):
            now = await self._take(job)
            if now is not None and now.state == _EARLIER:
                continue
            self._unreadable.pop(job, None)
            if now is not None and now.state == "sent":
                await self.tell(job, now.attempts, "fail", _UNREADABLE)

    async def _take(self, job: str) -> _JobNow | None:
        """Ask Core for the job. Returns Core's answer; None: there is no such job.

        Raises:
            HeldError: another agent prints here.
            UnreachableError: Core does not answer.
            AgentError: this printer is not registered.
        """
        fields = {"id": job, "outcome": "taken", "agent": self._agent}
        answer = await self._ask(fields)
        if answer.outcome == "repeated":
            # Core's answer was lost; a new message gets the answer again.
            answer = await self._ask(fields)
        if answer.job is None or answer.job.state == "gone":
            return None
        if answer.job.state == "held":
            raise HeldError("another agent prints on this printer")
        return answer.job

    async def _ask(self, fields: dict[str, Any]) -> _Accepted:
        """Send a message, with retries for a while, until Core has answered.

        Raises:
            UnreachableError: Core does not answer, or cannot do it now.
            AgentError: Core cannot distinguish this printer's messages from much older ones.
        """
        n = next(self._numbers)
        answer = self._answers[n] = asyncio.get_running_loop().create_future()
        message = {"boot": self._boot, "n": n, **fields}
        try:
            for _ in range(_TRIES):
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._answer_s):
                        await self._connection.until_connected()
                        await self._connection.say("results", message)
                        return _checked(await asyncio.shield(answer))
        finally:
            del self._answers[n]
            answer.cancel()
        raise UnreachableError(self._connection.trouble or "Core does not answer over MQTT")

    def _hear(self, what: str, payload: bytes) -> None:
        with contextlib.suppress(msgspec.DecodeError):
            if what == "accepted":
                self._hear_answer(_accepted(payload))
            else:
                self._hear_command(_command(payload))

    def _hear_answer(self, message: _Accepted) -> None:
        answer = self._answers.get(message.n)
        if message.boot == self._boot and answer is not None and not answer.done():
            answer.set_result(message)

    def _hear_command(self, command: _Command) -> None:
        if command.name != _PRINT:
            return
        if command.epoch < self._epoch:
            return  # ended by a restore
        if self._epoch and command.epoch > self._epoch:
            self._forget()
        self._epoch = command.epoch
        job = job_of_document(command.id, command.arguments)
        if job is None:
            if len(self._unreadable) < _MAX_SETTLED:
                self._unreadable[command.id] = None
        elif job.state == "sent" and (job.id, job.attempts) in self._settled:
            return
        else:
            self._jobs[job.id] = job
        self._news.set()

    def _forget(self) -> None:
        """Discard all jobs of an earlier epoch: Core may have been restored to an earlier state and
        may give the ids to other jobs. Waiting jobs are sent again."""
        self._jobs.clear()
        self._settled.clear()
        self._unreadable.clear()
        self._printing = None


def _shown(detail: str) -> str:
    """The detail as Core takes it: whatever an operating system says must not hold a result up."""
    return "".join(one if one.isprintable() else " " for one in detail)[:_MAX_DETAIL]


def _checked(answer: _Accepted) -> _Accepted:
    if answer.outcome != "refused" or answer.problem == _UNKNOWN:
        return answer
    if answer.problem == "too-old":
        raise AgentError("a newer agent has used this printer: register it again (--rotate)")
    raise UnreachableError(f"Core refuses this printer's messages: {answer.problem}")
