"""The program that builds the other servers for the push benchmark, and the requests to them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.bench.fanout.peers import PEERS, Centrifugo, DurableStreams, Mercure
from tests.bench.fanout.setup import RECIPES, Outcome, Recipe, build

CRATE = Recipe("one", "one-server", "1.2.3", crate="one")
MODULE = Recipe("two", "two", "v1", repository="https://example.invalid/two", module="inside")


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that comes first in the search for programs."""
    folder = tmp_path / "tools"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


def tool(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_a_crate_is_built_at_its_version_by_one_job(tools: Path, tmp_path: Path) -> None:
    script = f'echo "$@" > {tmp_path}/asked; mkdir bin; touch bin/one-server'
    tool(tools, "cargo", script)
    into = tmp_path / "peers"
    assert build(CRATE, into) == Outcome("one", "1.2.3")
    assert [path.name for path in into.iterdir()] == ["one-server"]
    asked = (tmp_path / "asked").read_text()
    assert asked.startswith("install one --version 1.2.3 --locked --jobs 1 ")


def test_what_is_there_is_not_built_again(tools: Path, tmp_path: Path) -> None:
    tool(tools, "cargo", "exit 1")
    (tmp_path / "one-server").touch()
    assert build(CRATE, tmp_path).version == "1.2.3"


def test_a_build_that_fails_is_told_with_the_compilers_last_words(
    tools: Path, tmp_path: Path
) -> None:
    tool(tools, "cargo", "echo a long story; echo the crate is not to be had >&2; exit 101")
    outcome = build(CRATE, tmp_path / "peers")
    assert outcome.version is None
    assert "cargo failed: a long story / the crate is not to be had" in str(outcome)
    assert not list((tmp_path / "peers").iterdir())


def test_a_build_that_takes_too_long_is_ended(tools: Path, tmp_path: Path) -> None:
    tool(tools, "cargo", "exec sleep 3600")
    outcome = build(CRATE, tmp_path / "peers", within_s=0.05)
    assert outcome.version is None
    assert "it took more than" in outcome.reason


def test_a_compiler_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert str(build(CRATE, tmp_path)) == "one: not built: cargo is not installed"
    assert str(build(MODULE, tmp_path)) == "two: not built: go is not installed"


def test_a_checkout_is_built_where_it_is_given(tools: Path, tmp_path: Path) -> None:
    (tmp_path / "sources" / "two" / "inside").mkdir(parents=True)
    tool(tools, "git", "exit 1")
    tool(tools, "go", 'pwd > "$(dirname "$0")/where"; touch "$6"')
    outcome = build(MODULE, tmp_path / "peers", tmp_path / "sources")
    assert outcome == Outcome("two", "v1")
    assert (tools / "where").read_text().strip().endswith("sources/two/inside")


def test_every_peer_has_a_recipe_for_its_program() -> None:
    assert {(peer.name, peer.program) for peer in PEERS} == {
        (recipe.name, recipe.program) for recipe in RECIPES
    }


@pytest.mark.parametrize(
    ("peer", "target"),
    [
        (DurableStreams, "/bench?offset=-1&live=sse"),
        (Mercure, "/.well-known/mercure?topic=bench"),
        (
            Centrifugo,
            "/connection/uni_sse?cf_connect=%7B%22subs%22%3A%7B%22bench%22%3A%7B%7D%7D%7D",
        ),
    ],
)
def test_each_peer_is_followed_in_its_own_way(
    peer: type[DurableStreams], target: str, tmp_path: Path
) -> None:
    assert peer(tmp_path).request(7).startswith(f"GET {target} HTTP/1.1\r\n".encode())
