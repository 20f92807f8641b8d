"""A missing program fails the test that needs it."""

from __future__ import annotations

import pytest

from tests.deploy.tools import installed


def test_a_test_without_its_program_fails_and_says_what_to_install() -> None:
    with pytest.raises(pytest.fail.Exception, match=r"no-such-program: make tools.*some-package"):
        installed("no-such-program", "some-package")


def test_a_program_that_is_there_is_found() -> None:
    assert installed("sh", "dash").endswith("/sh")
