"""Programs that tests use beside Python. Where one is absent its tests fail: nothing is skipped."""

from __future__ import annotations

import shutil

import pytest


def installed(program: str, package: str) -> str:
    """Where a program is; a machine without it fails the test and is told what to install.

    Args:
        program: its name.
        package: the Debian package that has it.
    """
    found = shutil.which(program)
    if found is None:
        pytest.fail(
            f"this test needs {program}: make tools, or on Debian apt-get install {package}",
            pytrace=False,
        )
    return found
