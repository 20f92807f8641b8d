"""Programs that tests use besides Python. If one is missing its tests fail and are not skipped."""

from __future__ import annotations

import shutil

import pytest


def installed(program: str, package: str) -> str:
    """The path of a program. If it is missing the test fails and says what to install.

    Args:
        program: its name.
        package: the Debian package that contains it.
    """
    found = shutil.which(program)
    if found is None:
        pytest.fail(
            f"this test needs {program}: make tools, or on Debian apt-get install {package}",
            pytrace=False,
        )
    return found
