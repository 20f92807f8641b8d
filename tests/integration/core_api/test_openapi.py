"""The OpenAPI document, held against the running service."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import CHECKS

from tests.fuzz.api import one_session
from tests.integration.core_service import CoreService, token

# What a generated request may be refused for, beside what its schema says: a channel that the token
# does not permit, a cursor that names other channels. The document says so in words.
_CHECKS = ("not_a_server_error", "status_code_conformance", "content_type_conformance",
           "response_schema_conformance")  # fmt: skip


@pytest.fixture(scope="session")
def operations(core_process: CoreService) -> Any:
    document = httpx.get(f"{core_process.stack.core_url}/openapi.json").json()
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=core_process.stack.core_url)
    return schema


def test_the_document_is_valid_openapi_3_1(operations: Any) -> None:
    assert operations.raw_schema["openapi"] == "3.1.0"
    operations.validate()


def test_the_service_answers_as_the_document_says(operations: Any) -> None:
    headers = {"authorization": f"Bearer {token('owner', '*')}"}
    checks = [CHECKS.get_one(name) for name in _CHECKS]
    tested = 0
    session = one_session()
    for result in operations.get_all_operations():
        operation = result.ok()

        @settings(
            max_examples=40,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        )
        @schemathesis_cases(operation)  # type: ignore[untyped-decorator]
        def answers(case: Any) -> None:
            response = case.call(session=session, headers=headers)
            case.validate_response(response, checks=checks)

        answers()
        tested += 1
    session.close()
    assert tested >= 9


def schemathesis_cases(operation: Any) -> Any:
    """Hypothesis's given over the cases of one operation."""
    from hypothesis import given

    return given(case=operation.as_strategy())
