"""The wheel and the source archive, installed in clean environments as a user installs them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "requirements.lock"
BUILD_LOCK = ROOT / "deploy/docker/build.lock"
DECISION = ROOT / "docs/decisions/0002-what-the-sdk-depends-on.md"
DEPENDENCIES = {"httpx", "msgspec", "sniffio", "websockets"}
OF_THE_SDK = {
    "anyio", "certifi", "h11", "httpcore", "httpx", "idna", "msgspec", "sniffio",
    "typing-extensions", "websockets",
}  # fmt: skip
OF_EXTRAS = {
    "client_sdk.mqtt": "aiomqtt",
    "client_sdk.printer.mqtt_source": "aiomqtt",
    "client_sdk.printer_media.picture": "PIL",
}
"""Modules of the SDK that need an extra, and the package that each looks for."""
PACKAGES = {
    "client_sdk", "core_api", "event_server", "server_common",
}  # fmt: skip
IMPORT_ALL = """
import importlib, json, pkgutil, sys
import client_sdk

missing = {}
for module in pkgutil.walk_packages(client_sdk.__path__, "client_sdk."):
    try:
        importlib.import_module(module.name)
    except ModuleNotFoundError as error:
        missing[module.name] = error.name
servers = {"core_api", "event_server"} & set(sys.modules)
print(json.dumps([missing, sorted(servers)]))
"""

pytestmark = pytest.mark.xdist_group("package")


def run(*command: str | Path) -> str:
    """Run a command without this checkout's environment. Returns its output; it must succeed."""
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


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The wheel and the source archive."""
    return built(ROOT, tmp_path_factory.mktemp("dist"))


def built(tree: Path, folder: Path) -> tuple[Path, Path]:
    """Build the wheel and the source archive of a tree."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", folder],
        cwd=tree, check=True, capture_output=True,
    )  # fmt: skip
    (wheel,), (source,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return wheel, source


@pytest.fixture(scope="module")
def unpacked(archives: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The content of the source archive, unpacked."""
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(archives[1]) as archive:
        archive.extractall(folder, filter="data")
    (tree,) = folder.iterdir()
    return tree


@pytest.fixture(
    params=[
        ("wheel", ""), ("wheel", "[server]"), ("source", ""), ("source", "[server]"),
    ],
    ids=lambda asked: f"{asked[0]}-{'servers' if asked[1] else 'sdk'}",
    scope="module",
)  # fmt: skip
def installed(
    request: pytest.FixtureRequest,
    archives: tuple[Path, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[str, Path]:
    """The requested extra, and the folder of the clean environment's programs.

    A source archive is built in its own environment, with only what pyproject.toml requires.
    """
    kind, extra = request.param
    folder = tmp_path_factory.mktemp("clean")
    uv = Path(sys.executable).with_name("uv")
    run(uv, "venv", "--quiet", "--python", sys.executable, folder / "venv")
    python = folder / "venv/bin/python"
    asked = f"{archives[kind == 'source']}{extra}"
    run(
        uv, "pip", "install", "--quiet", "--python", python, "--constraint", LOCK,
        "--build-constraints", BUILD_LOCK, asked,
    )  # fmt: skip
    return str(extra), python.parent


def requirements(wheel: Path) -> set[str]:
    """The requirements of an installation without extras, from the wheel's metadata."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [one for one in archive.namelist() if one.endswith(".dist-info/METADATA")]
        metadata = Parser().parsestr(archive.read(name).decode())
    asked = [Requirement(text) for text in metadata.get_all("Requires-Dist") or []]
    return {one.name for one in asked if one.marker is None or one.marker.evaluate({"extra": ""})}


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


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


def test_a_wheel_that_is_built_from_the_source_archive_is_the_same(
    archives: tuple[Path, Path], unpacked: Path, tmp_path: Path
) -> None:
    ours, theirs = contents(archives[0]), contents(built(unpacked, tmp_path)[0])
    assert ours.keys() == theirs.keys()
    assert [name for name, body in ours.items() if body != theirs[name]] == []


def test_a_pre_release_is_built_under_the_name_by_which_pip_knows_it(
    unpacked: Path, tmp_path: Path
) -> None:
    project = unpacked / "pyproject.toml"
    before = project.read_text()
    later, found = re.subn('^version = ".+"$', 'version = "9.1.0-rc.2"', before, flags=re.M)
    assert found == 1
    project.write_text(later)
    try:
        wheel, source = built(unpacked, tmp_path)
    finally:
        project.write_text(before)
    assert wheel.name == "yabam_events-9.1.0rc2-py3-none-any.whl"
    assert source.name == "yabam_events-9.1.0rc2.tar.gz"


def test_the_sdk_asks_for_what_its_documents_name_and_for_nothing_else(
    archives: tuple[Path, Path],
) -> None:
    assert requirements(archives[0]) == DEPENDENCIES
    assert set(re.findall(r"^\| `(\w+)` \|", DECISION.read_text(), re.M)) == DEPENDENCIES
    named = "httpx, msgspec, sniffio(?:,| and) websockets and nothing else"
    for page in ("README.md", "docs/sdk.md"):
        assert re.search(named, (ROOT / page).read_text()), page


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
        missing, servers = json.loads(run(programs / "python", "-c", IMPORT_ALL))
        assert missing == OF_EXTRAS
        assert servers == []
