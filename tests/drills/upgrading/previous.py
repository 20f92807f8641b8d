"""Both releases: which commit the previous one is, and how its code is run beside this one.

Its code is taken from git and run with the packages of this environment. Where it needs others,
that shows at its start.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Final

from client_sdk.contract.errors import YabamError

PREVIOUS: Final = "6c5007c49947f2e7c679972128c9c0db10285070"
"""The last commit before Web Push, with gateways, webhooks, and migrations up to 0018: after that
one, which takes away columns, senders of before it send nothing. A release is a tag: name it here
as soon as there is one."""
ROOT: Final = Path(__file__).resolve().parents[3]
_PACKAGES: Final = ("client_sdk", "core_api", "event_server", "server_common")
_WHERE: Final = "import core_api, event_server, client_sdk; print(core_api.__path__[0])"


def exported(build: Path, commit: str = PREVIOUS) -> Path:
    """The code of a commit, as a folder of its own in `build`.

    Raises:
        YabamError: this is no git repository, or it does not have that commit.
    """
    folder = (build / f"release-{commit[:12]}").resolve()
    if folder.exists():
        return folder
    done = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=False)
    if done.returncode != 0:
        raise YabamError(
            f"git has no commit {commit} here, so there is no previous release to begin with: "
            "fetch the whole history, or name another commit"
        )
    unpacked = folder.with_suffix(".new")
    shutil.rmtree(unpacked, ignore_errors=True)
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(unpacked, filter="data")
    unpacked.rename(folder)
    return folder


def copied(folder: Path) -> Path:
    """This release's code as it is now, in a folder of its own: so that work on it does not change
    what a drill runs."""
    for name in _PACKAGES:
        shutil.copytree(ROOT / name, folder / name)
    return folder


def environment_of(folder: Path) -> dict[str, str]:
    """The environment in which Python runs the code of this folder, wherever it is started.

    Raises:
        YabamError: it runs other code all the same.
    """
    environment = {"PYTHONPATH": str(folder), "PYTHONSAFEPATH": "1"}
    done = subprocess.run(
        [sys.executable, "-c", _WHERE],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.stdout.strip() != str(folder / "core_api"):
        raise YabamError(f"the code of {folder} is not what runs: {done.stdout}{done.stderr}")
    return environment
