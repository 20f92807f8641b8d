"""One version, wherever it stands; and each release is told of in the changelog."""

from __future__ import annotations

import json
import re
import tomllib
from datetime import date
from pathlib import Path
from typing import Final

import pytest
from packaging.version import Version

ROOT: Final = Path(__file__).parents[2]
SEMANTIC: Final = r"\d+\.\d+\.\d+(?:-(?:alpha|beta|rc)\.\d+)?"
"""A version as npm and Kubernetes take it; pip reads 1.2.0-rc.1 as 1.2.0rc1, which is the same."""


def told(changelog: str) -> dict[str, date]:
    """The releases that a changelog tells of, newest first, pre-releases among them."""
    found = re.findall(rf"^## \[({SEMANTIC})\] - (\d{{4}}-\d\d-\d\d)$", changelog, re.M)
    return {version: date.fromisoformat(day) for version, day in found}


def own_version() -> str:
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])


def own_changelog() -> str:
    return (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize("version", ["1.0.0", "0.2.0-alpha.1", "1.10.0-rc.12"])
def test_a_release_and_a_pre_release_are_told_of_in_the_same_form(version: str) -> None:
    changelog = f"## [Unreleased]\n\n## [{version}] - 2026-11-22\n\n## [0.1.0] - 2026-11-21\n"
    assert list(told(changelog)) == [version, "0.1.0"]


@pytest.mark.parametrize("version", ["1.0", "1.0.0rc1", "1.0.0-rc1", "1.0.0-dev.1", "v1.0.0"])
def test_what_npm_or_pip_would_read_in_another_way_is_no_version(version: str) -> None:
    assert told(f"## [{version}] - 2026-11-22\n") == {}


def test_the_version_is_the_newest_that_the_changelog_tells_of() -> None:
    assert own_version() == next(iter(told(own_changelog())))


def test_each_heading_of_the_changelog_is_a_release_and_each_is_later_than_the_one_below() -> None:
    releases = told(own_changelog())
    headings = re.findall(r"^## (.+)$", own_changelog(), re.M)
    assert headings == ["[Unreleased]", *(f"[{name}] - {day}" for name, day in releases.items())]
    versions = [Version(name) for name in releases]
    assert versions == sorted(versions, reverse=True)
    assert list(releases.values()) == sorted(releases.values(), reverse=True)


def test_each_tag_is_of_a_release_that_the_changelog_tells_of() -> None:
    tagged = tomllib.loads((ROOT / "releases.toml").read_text())["release"]
    releases = told(own_changelog())
    for one in tagged:
        assert releases.get(one["tag"].removeprefix("v")) == one["date"], one["tag"]


def test_no_tag_is_of_a_later_version_than_this_one() -> None:
    tagged = tomllib.loads((ROOT / "releases.toml").read_text())["release"]
    assert Version(own_version()) >= max(Version(one["tag"]) for one in tagged)


def test_npm_and_its_lock_have_the_version_of_the_whole() -> None:
    package = json.loads((ROOT / "client_sdk/javascript/package.json").read_text())
    locked = json.loads((ROOT / "package-lock.json").read_text())
    assert package["version"] == own_version()
    assert locked["packages"]["client_sdk/javascript"]["version"] == own_version()


def test_images_are_named_by_it() -> None:
    files = [ROOT / "docs/deployment.md", *(ROOT / "deploy").rglob("kustomization.yaml")]
    found = {
        (file, tag) for file in files for tag in re.findall(r"newTag: ([^\s}]+)", file.read_text())
    }
    assert {tag for _, tag in found} == {own_version()}, found
