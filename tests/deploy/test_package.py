"""What a user installs: the wheel and the source archive, in clean environments."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "requirements.lock"
CHANGELOG = ROOT / "CHANGELOG.md"
OF_THE_SDK = {
    "anyio", "certifi", "h11", "httpcore", "httpx", "idna", "msgspec", "sniffio",
    "typing-extensions", "websockets",
}  # fmt: skip
PACKAGES = {
    "client_sdk", "core_api", "event_server", "server_common",
}  # fmt: skip

pytestmark = pytest.mark.xdist_group("package")


def run(*command: str | Path) -> str:
    """What the command prints; it must succeed, and it sees nothing of this checkout."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL", "YABAM"))}
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        env=env,
        cwd="/",
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_version_is_the_newest_that_the_changelog_tells_of() -> None:
    told = re.findall(r"^## \[(\d+\.\d+\.\d+)\] - \d{4}-\d\d-\d\d$", CHANGELOG.read_text(), re.M)
    assert told[0] == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The wheel and the source archive."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", folder],
        cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    (wheel,), (source,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return wheel, source


@pytest.fixture(params=["", "[server]"], ids=["sdk", "servers"], scope="module")
def installed(
    request: pytest.FixtureRequest,
    archives: tuple[Path, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[str, Path]:
    """The extra that was asked for, and the folder of the clean environment's programs."""
    folder = tmp_path_factory.mktemp("clean")
    uv = Path(sys.executable).with_name("uv")
    run(uv, "venv", "--quiet", "--python", sys.executable, folder / "venv")
    python = folder / "venv/bin/python"
    wheel = f"{archives[0]}{request.param}"
    run(uv, "pip", "install", "--quiet", "--python", python, "--constraint", LOCK, wheel)
    return str(request.param), python.parent


def test_the_wheel_holds_the_packages_their_pages_and_the_licence(
    archives: tuple[Path, Path],
) -> None:
    names = set(zipfile.ZipFile(archives[0]).namelist())
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == PACKAGES
    assert any(name.endswith("/licenses/LICENSE") for name in names)
    assert any(name.endswith("terminal/index.html") for name in names)
    for package in PACKAGES:
        assert f"{package}/py.typed" in names


def test_the_source_archive_holds_what_is_needed_to_test_and_build_it(
    archives: tuple[Path, Path],
) -> None:
    with tarfile.open(archives[1]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {
        "LICENSE", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "Makefile", "requirements.lock",
        "pyproject.toml", "tests/unit/test_shape.py", "docs/protocol.md", "client_sdk/py.typed",
    } <= names  # fmt: skip
    assert not any(name.startswith((".git/", ".venv", "var", "build")) for name in names)


def test_what_is_installed_is_what_was_asked_for_and_answers(installed: tuple[str, Path]) -> None:
    extra, programs = installed
    uv = Path(sys.executable).with_name("uv")
    listed = run(uv, "pip", "list", "--format", "json", "--python", programs / "python")
    others = {package["name"] for package in json.loads(listed)} - {"yabam-events"}
    commands = run(programs / "yabam", "--help")
    assert "tail" in commands
    if extra:
        assert others > OF_THE_SDK
        assert "core" in commands
        shown = run(
            programs / "python",
            "-c",
            "from core_api.pages.runbook import own_runbook; print(own_runbook())",
        )
        assert '<h2 id="core-fails">' in shown
    else:
        assert others == OF_THE_SDK
        run(
            programs / "python",
            "-c",
            "import client_sdk, sys; assert 'core_api' not in sys.modules",
        )
