"""The package that npm packs, installed in a project as a front-end developer installs it."""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
import tomllib
from pathlib import Path
from typing import Any, Final

import pytest

from tests.deploy.tools import installed

ROOT: Final = Path(__file__).parents[2]
PACKAGE: Final = ROOT / "client_sdk" / "javascript"
NODE_MODULES: Final = ROOT / "node_modules"
NPM: Final = Path(__file__).parent / "npm"
PEERS: Final = ("react", "react-dom", "scheduler", "vue", "@vue", "@types", "csstype")
"""The frameworks that the bindings are for, with their types."""

pytestmark = pytest.mark.xdist_group("npm-package")


def run(folder: Path, *command: str | Path) -> str:
    """Run a command. Returns its output; it must succeed."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def tarball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as `npm publish` would send it."""
    npm = installed("npm", "npm")
    assert NODE_MODULES.is_dir(), "the front-end's packages are not installed: make node-packages"
    folder = tmp_path_factory.mktemp("packed")
    run(PACKAGE, npm, "pack", "--pack-destination", folder)
    (packed,) = folder.glob("*.tgz")
    return packed


@pytest.fixture(scope="module")
def project(tarball: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A developer's project with the package installed, without a network."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "package.json").write_text('{"private": true, "type": "module"}')
    run(folder, "npm", "install", "--offline", "--ignore-scripts", tarball)
    return folder


@pytest.fixture(scope="module")
def project_with_peers(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project that has React and Vue, too."""
    folder = tmp_path_factory.mktemp("with-peers") / "project"
    shutil.copytree(project, folder)
    for name in PEERS:
        (folder / "node_modules" / name).symlink_to(NODE_MODULES / name)
    return folder


def told(package: Path = PACKAGE) -> dict[str, Any]:
    return dict(json.loads((package / "package.json").read_text()))


def test_it_has_the_version_of_the_whole() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (told()["version"], told()["license"]) == (project["version"], project["license"])


def test_it_holds_the_modules_their_types_and_what_a_reader_needs_and_nothing_else(
    tarball: Path,
) -> None:
    with tarfile.open(tarball) as archive:
        names = {name.removeprefix("package/") for name in archive.getnames()}
    modules = {str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.js")}
    types = {f"declarations/{name.removesuffix('.js')}.d.ts" for name in modules}
    assert names == {"package.json", "README.md", "LICENSE"} | modules | types


def test_packing_leaves_nothing_behind(tarball: Path) -> None:
    assert tarball.exists()
    assert not (PACKAGE / "declarations").exists()
    assert not (PACKAGE / "LICENSE").exists()


def test_installing_it_installs_nothing_else(project: Path) -> None:
    lock = json.loads((project / "node_modules" / ".package-lock.json").read_text())
    assert list(lock["packages"]) == ["node_modules/yabam-events"]


def test_what_needs_no_framework_is_imported_in_node_without_one(project: Path) -> None:
    script = """
        const names = ["", "/svelte", "/elements", "/types"];
        const modules = await Promise.all(names.map((name) => import(`yabam-events${name}`)));
        console.log(JSON.stringify(modules.map((module) => Object.keys(module).length > 0)));
    """
    found = json.loads(run(project, "node", "--input-type=module", "--eval", script))
    assert found == [True, True, True, False]


def test_a_server_draws_what_a_page_shows_before_anything_is_known(
    project_with_peers: Path,
) -> None:
    shutil.copy(NPM / "server.js", project_with_peers)
    found = json.loads(run(project_with_peers, "node", "server.js"))
    assert found == ["<p>0 true starting</p>"] * 3


@pytest.mark.parametrize("resolution", ["nodenext", "bundler"])
def test_a_project_that_is_checked_strictly_takes_its_types(
    project_with_peers: Path, resolution: str
) -> None:
    shutil.copy(NPM / "consumer.ts", project_with_peers)
    options = {
        "strict": True,
        "noEmit": True,
        "skipLibCheck": False,
        "exactOptionalPropertyTypes": True,
        "target": "ES2022",
        "module": "nodenext" if resolution == "nodenext" else "esnext",
        "moduleResolution": resolution,
        "lib": ["ES2022", "DOM", "DOM.Iterable"],
        "types": [],
    }
    config = {"compilerOptions": options, "files": ["consumer.ts"]}
    (project_with_peers / "tsconfig.json").write_text(json.dumps(config))
    run(project_with_peers, NODE_MODULES / ".bin" / "tsc", "--project", ".")
