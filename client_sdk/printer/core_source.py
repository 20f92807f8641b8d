"""Jobs over server-sent events: the documents of the printer's channel, from the shared state."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, Final, Self

import httpx
import msgspec
from msgspec import Meta, Struct

from client_sdk import UnauthorizedError, UnreachableError, YabamClient
from client_sdk.contract.errors import ContractError, FrameError
from client_sdk.contract.json_decoding import reader
from client_sdk.contract.problem import Problem, decode_problem
from client_sdk.printer.errors import AgentError, HeldError
from client_sdk.printer.journal import PrintOutcome
from client_sdk.printer.source import Job, Taken, job_of_document
from client_sdk.transport.http_bodies import PACKED, answer_of, bearer, check_token, no_cookies

_KEY: Final = "print."
_TIMEOUT_S: Final = 15.0
_MAX_ANSWER: Final = 64 * 1024
_MAX_LIFETIME_S: Final = 10**9
_FAULTS: Final = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError, FrameError)
_RENEWED_AT: Final = 0.8
"""The fraction of its lifetime after which a token is renewed."""


class _Given(Struct, frozen=True):
    token: str
    expires_in_s: Annotated[int, Meta(ge=0, le=_MAX_LIFETIME_S)]


_taken: Final = reader(Taken)
_given: Final = reader(_Given)


class Login:
    """Gets access tokens with a device's user name and password, each before the last one expires.

    Args:
        core_url: where Core is.
        user: the user name from the device's registration.
        password: the password from the device's registration.
    """

    def __init__(
        self,
        core_url: str,
        user: str,
        password: str,
    ) -> None:
        self._core_url = core_url
        self._login = {"user": user, "password": password}
        self._token = ""
        self._renew_at = 0.0

    async def __call__(self) -> str:
        """Return a token that is valid for a while.

        Raises:
            UnauthorizedError: Core does not accept user name and password.
            UnreachableError: Core does not answer.
        """
        if time.monotonic() < self._renew_at:
            return self._token
        try:
            async with httpx.AsyncClient(cookies=no_cookies(), timeout=_TIMEOUT_S) as http:
                request = http.build_request(
                    "POST", f"{self._core_url}/v1/devices/token", json=self._login, headers=PACKED
                )
                answer, body = await answer_of(http, request, _MAX_ANSWER)
        except _FAULTS as error:
            raise UnreachableError(f"Core cannot be reached: {error}") from error
        if answer.status_code == 401:
            raise UnauthorizedError(_told(401, body))
        try:
            given = _given(body)
        except msgspec.DecodeError as error:
            raise UnreachableError(_told(answer.status_code, body)) from error
        try:
            self._token = check_token(given.token)
        except ContractError as error:
            raise UnreachableError(f"Core's answer is malformed: {error}") from error
        self._renew_at = time.monotonic() + given.expires_in_s * _RENEWED_AT
        return self._token


class CoreSource:
    """A printer's jobs, from Core.

    Args:
        core_url: where Core is.
        token: the printer's or its owner's access token, or a function that returns one.
        store: the store's id.
        device: the printer's device id.
        agent: the id of this agent.
    """

    def __init__(
        self,
        core_url: str,
        token: str | Callable[[], Awaitable[str]],
        store: str,
        device: str,
        agent: str,
    ) -> None:
        self._channel = f"device:{store}/{device}"
        self._path = f"/v1/stores/{store}/devices/{device}"
        self._agent = agent
        self._token = token
        self._client = YabamClient(core_url, token, [self._channel], subject=self._channel)
        self._http = httpx.AsyncClient(base_url=core_url, cookies=no_cookies(), timeout=_TIMEOUT_S)
        self._news = asyncio.Event()

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        self._client.state(self._channel).subscribe(self._news.set)
        return self

    async def __aexit__(self, *_raised: object) -> None:
        await self._client.close()
        await self._http.aclose()

    def jobs(self) -> list[Job]:
        """All jobs that are known, in the order in which they are printed."""
        documents = self._client.state(self._channel)
        found = (
            job_of_document(key.removeprefix(_KEY), documents[key].value)
            for key in documents.keys
            if key.startswith(_KEY)
        )
        return sorted(
            (job for job in found if job is not None), key=lambda job: (job.seq, job.copy)
        )

    async def changed(self, within_s: float) -> None:
        """Return once something may be new, or the time is over.

        Raises:
            AgentError: Core refuses the token, so there will be no jobs.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._news.wait()
        self._news.clear()
        status = self._client.status
        if status.mode == "failed":
            raise AgentError(status.last_error or "the client failed")

    async def hold(self, troubles: Sequence[str], *, leaving: bool = False) -> None:
        """Report that this agent prints here; raises as `JobSource.hold`."""
        body = {"agent": self._agent, "troubles": list(troubles), "leaving": leaving}
        status, answer = await self._post("/printer", body)
        if status != 200:
            told = _told(status, answer)
            raise HeldError(told) if status == 409 else AgentError(told)

    async def take(self, job: Job) -> Taken | None:
        """Take a job; raises as `JobSource.take`."""
        status, answer = await self._post(
            f"/prints/{job.id}", {"step": "take", "agent": self._agent}
        )
        if status in (404, 409):
            return None
        if status != 200:
            raise AgentError(_told(status, answer))
        try:
            return _taken(answer)
        except msgspec.DecodeError as error:
            raise UnreachableError(f"Core's answer is malformed: {error}") from error

    async def tell(self, job: str, attempt: int, outcome: PrintOutcome, detail: str) -> None:
        """Report the outcome of an attempt; raises as `JobSource.tell`.

        Args:
            job: the id of the job.
            attempt: the attempt's number, as `take` has returned it.
            outcome: `done`, `fail` or `doubt`, as for `JobSource.tell`.
            detail: for a person; cut after 200 characters.
        """
        body = {
            "step": outcome,
            "agent": self._agent,
            "attempt": attempt,
            "detail": detail[:200],
        }
        status, answer = await self._post(f"/prints/{job}", body)
        # 404, 409: another agent has continued with the job; nothing more to report.
        if status not in (200, 404, 409):
            raise AgentError(_told(status, answer))

    async def _post(self, path: str, body: dict[str, Any]) -> tuple[int, bytes]:
        token = self._token if isinstance(self._token, str) else await self._token()
        headers = bearer(token) | PACKED
        request = self._http.build_request("POST", self._path + path, json=body, headers=headers)
        try:
            response, answer = await answer_of(self._http, request, _MAX_ANSWER)
        except _FAULTS as error:
            raise UnreachableError(f"Core cannot be reached: {error}") from error
        if response.status_code == 429 or response.status_code >= 500:
            raise UnreachableError(_told(response.status_code, answer))
        return response.status_code, answer


def _told(status: int, body: bytes) -> str:
    problem: Problem | None = decode_problem(body)
    return f"Core answers {status}" + (f": {problem.detail or problem.title}" if problem else "")
