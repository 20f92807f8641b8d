"""Fuzz Core by its own OpenAPI document: valid and invalid requests, as each role."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

import hypothesis
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import CHECKS, load_all_checks

from core_api.access.callers import Role
from tests.integration.core_service import token

load_all_checks()
_CHECKS: Final = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance",
    "response_headers_conformance", "response_schema_conformance",
)  # fmt: skip


def token_of(role: Role | None) -> str | None:
    """A token of the role, for every store or for one table; None: no token."""
    if role is None:
        return None
    if role == "table":
        return token("table", table="0/0")  # among the first that are tried
    return token(role, *(() if role == "ops" else ("*",)))


def one_session() -> requests.Session:
    """A session for many requests that does not read the environment for each of them."""
    session = requests.Session()
    session.trust_env = False
    return session


def fuzz_api(core_url: str, role: Role | None, examples: int, seed: int) -> Counter[int]:
    """Test every operation with this many requests each. Returns the statuses received."""
    document = schemathesis.openapi.from_url(f"{core_url}/openapi.json")
    document.config.update(base_url=core_url)
    checks = [CHECKS.get_one(name) for name in _CHECKS]
    who = token_of(role)
    headers = {} if who is None else {"authorization": f"Bearer {who}"}
    statuses: Counter[int] = Counter()
    operations: list[Any] = list(document.get_all_operations())
    with one_session() as session:
        for result in operations:
            operation = result.ok()
            # A stream lasts a minute or more, whatever the request.
            if "text/event-stream" not in str(operation.definition.raw["responses"]):
                _put(operation, session, headers, checks, examples, seed, statuses)
    return statuses


def _put(
    operation: Any,
    session: requests.Session,
    headers: dict[str, str],
    checks: list[Any],
    examples: int,
    seed: int,
    statuses: Counter[int],
) -> None:
    modes = schemathesis.GenerationMode
    cases = operation.as_strategy(generation_mode=modes.POSITIVE) | operation.as_strategy(
        generation_mode=modes.NEGATIVE
    )

    @hypothesis.seed(seed)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases)
    def answers(case: Any) -> None:
        response = case.call(session=session, headers=headers)
        case.validate_response(response, checks=checks)
        statuses[response.status_code] += 1
        assert not (headers == {} and operation.definition.raw.get("security") != []
                    and response.status_code < 400), "open to nobody"  # fmt: skip

    answers()
