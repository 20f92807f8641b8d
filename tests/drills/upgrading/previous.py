"""Finds the commit of the previous release, and runs its code beside this release's.

Its code is taken from git and runs with the packages of this environment. If it needs others, it
fails when it starts.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from client_sdk.contract.errors import YabamError

ROOT: Final = Path(__file__).resolve().parents[3]
_PACKAGES: Final = ("client_sdk", "core_api", "event_server", "server_common")
_WHERE: Final = "import core_api, event_server, client_sdk; print(core_api.__path__[0])"


@dataclass(frozen=True)
class Release:
    """One release of `releases.toml`."""

    tag: str
    commit: str
    schema: str
    """Its newest migration."""


def releases(text: str) -> list[Release]:
    """The releases in the text of `releases.toml`, newest first."""
    found = tomllib.loads(text)["release"]
    return [Release(one["tag"], one["commit"], one["schema"]) for one in found]


def newest() -> Release:
    """The newest published release."""
    return releases((ROOT / "releases.toml").read_text())[0]


def commit_of(release: Release, root: Path = ROOT) -> str:
    """The commit of a release; if git has its tag, that must name the same commit.

    Raises:
        YabamError: the tag names another commit.
    """
    tagged = _git(root, "rev-parse", "--verify", "--quiet", f"refs/tags/{release.tag}^{{commit}}")
    if tagged.returncode != 0:
        return release.commit
    found = tagged.stdout.decode().strip()
    if found != release.commit:
        raise YabamError(
            f"releases.toml names {release.commit} as {release.tag}, and the tag is of {found}"
        )
    return found


def exported(build: Path, commit: str, root: Path = ROOT) -> Path:
    """Export the code of a commit into a folder in `build`. Returns the folder.

    Raises:
        YabamError: this is no git repository, or it does not have the commit.
    """
    folder = (build / f"release-{commit[:12]}").resolve()
    if folder.exists():
        return folder
    done = _git(root, "archive", commit)
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
    """Copy this release's code into a folder, so that changes of it do not affect the drill."""
    for name in _PACKAGES:
        shutil.copytree(ROOT / name, folder / name)
    return folder


def environment_of(folder: Path) -> dict[str, str]:
    """The environment in which Python runs the code of this folder, in any working folder.

    Raises:
        YabamError: Python runs other code nevertheless.
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


def _git(root: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["git", *arguments], cwd=root, capture_output=True, check=False)
