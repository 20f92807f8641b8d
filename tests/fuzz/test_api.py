"""Core answers valid and invalid requests of each role as its OpenAPI document says."""

from __future__ import annotations

import pytest

from core_api.access.callers import Role
from tests.fuzz.api import fuzz_api
from tests.integration.core_service import CoreService


@pytest.mark.xdist_group("fuzz-api")
@pytest.mark.parametrize("role", ["owner", "table", None])
def test_each_operation_answers_as_the_document_says(
    core_process: CoreService, role: Role | None
) -> None:
    statuses = fuzz_api(core_process.stack.core_url, role, examples=8, seed=1)
    assert max(statuses) < 500 or statuses[503]
    # If all requests were refused, nothing after the check of the token would be tested.
    assert statuses[200] > 0
