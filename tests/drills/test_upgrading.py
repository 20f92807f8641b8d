"""The upgrade drill's orders and its proof; the drill itself is `make upgrade-drill`."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from itertools import combinations, permutations
from pathlib import Path
from typing import Any

import pytest

from client_sdk.contract.errors import YabamError
from tests.chaos.proof import Fact, Standing
from tests.drills.upgrading.old_clients import judge_channel
from tests.drills.upgrading.orders import (
    DOCUMENTED,
    INNER,
    all_orders,
    begun_with,
    covering_orders,
    pair_orders,
)
from tests.drills.upgrading.partner import judge_webhooks, until_nothing_comes
from tests.drills.upgrading.previous import ROOT, Release, commit_of, exported, newest, releases
from tests.webhook_receiver import Received

README = Path(__file__).parents[2] / "README.md"
VERSIONS = "core_api/postgres/migrations/versions"
DOCUMENT = README.parent / "docs" / "deployment.md"
NAMES = {
    "event servers": "events",
    "the broker's admin": "mqtt-admin",
    "gateways": "mqtt",
    "relay": "relay",
    "ingest": "ingest",
    "senders of webhooks": "webhooks",
    "core": "core",
}

BEGUN: dict[str, Any] = {
    "channel": "store:1", "reset": "first_sync", "head": 4, "orders": [["a", 1, "placed"]]
}  # fmt: skip
LOG = [Fact(5, "a", 2), Fact(6, "b", 1)]
OPEN = {"b": Standing(1, "placed")}


def event(seq: int, order: str, version: int, status: str) -> dict[str, Any]:
    return {
        "channel": "store:1", "seq": seq, "order": order, "version": version, "status": status
    }  # fmt: skip


GIVEN = [BEGUN, event(5, "a", 2, "paid"), event(6, "b", 1, "placed")]


def test_a_client_that_was_given_the_whole_log_is_judged_clean() -> None:
    of_others = {"channel": "store:2", "reset": "epoch", "head": 9, "orders": []}
    assert judge_channel("store:1", [*GIVEN, of_others], LOG, OPEN).clean


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ([BEGUN, GIVEN[2]], (2, 0, 0)),
        ([*GIVEN, GIVEN[2]], (0, 1, 0)),
        ([BEGUN, GIVEN[2], GIVEN[1]], (0, 0, 1)),
        ([*GIVEN, BEGUN | {"reset": "epoch"}], (1, 0, 0)),
        ([], (1, 0, 0)),
    ],
    ids=["lost", "doubled", "out-of-order", "begun-anew", "never-begun"],
)
def test_what_a_client_was_not_given_as_the_log_has_it_is_found(
    lines: list[dict[str, Any]], found: tuple[int, int, int]
) -> None:
    verdict = judge_channel("store:1", lines, LOG, OPEN)
    assert (verdict.lost, verdict.doubled, verdict.out_of_order) == found


def test_the_order_that_is_tested_is_the_one_of_the_documentation() -> None:
    section = DOCUMENT.read_text().partition("## Upgrades\n")[2].partition("\n## ")[0]
    steps = re.findall(r"^\d\. (.*)", section, re.MULTILINE)
    assert "migration" in steps[0]
    named = [
        NAMES[found.group().lower()]
        for step in steps[1:]
        for found in re.finditer("|".join(NAMES), step.partition(":")[0], re.IGNORECASE)
    ]
    assert tuple(named[: len(NAMES)]) == DOCUMENTED


def test_each_kind_of_process_takes_part() -> None:
    table = README.read_text().partition("## Operate it\n")[2]
    processes = re.findall(r"^\| `yabam ([a-z-]+)` \|", table, re.MULTILINE)
    assert sorted(processes) == sorted(DOCUMENTED)


def test_each_kind_is_new_before_each_other_in_one_of_two_orders() -> None:
    pairs = {pair for order in pair_orders() for pair in combinations(order, 2)}
    assert pairs == set(permutations(DOCUMENTED, 2))
    assert pair_orders()[0] == DOCUMENTED


def test_few_orders_meet_every_mixture_of_old_and_new_inner_kinds() -> None:
    orders = covering_orders()
    inner = [[kind for kind in order if kind in INNER] for order in orders]
    mixtures = {frozenset(order[:count]) for order in inner for count in range(1, 4)}
    assert len(mixtures) == 14
    assert len(orders) == 6
    assert orders[:2] == pair_orders()


def test_all_orders_begin_with_that_of_the_documentation() -> None:
    assert len(set(all_orders())) == 5040
    assert all_orders()[0] == DOCUMENTED


def test_a_run_that_was_stopped_goes_on_with_the_orders_that_are_left() -> None:
    orders = covering_orders()
    assert begun_with(orders, 1) == orders
    assert begun_with(orders, 4) == [*orders[3:], *orders[:3]]


@pytest.fixture
def repository(tmp_path: Path) -> tuple[Path, list[str]]:
    """One with two commits, whose file says which it is."""
    root, commits = tmp_path / "repository", []
    root.mkdir()

    def git(*arguments: str) -> str:
        who = ("-c", "user.name=n", "-c", "user.email=n@example.com")
        done = subprocess.run(
            ["git", *who, *arguments], cwd=root, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    git("init", "-q")
    for number in ("1", "2"):
        (root / "number").write_text(number)
        git("add", "number")
        git("commit", "-q", "-m", number)
        commits.append(git("rev-parse", "HEAD"))
    git("tag", "v1", commits[0])
    return root, commits


def test_the_previous_release_is_the_one_that_its_tag_names(
    repository: tuple[Path, list[str]], tmp_path: Path
) -> None:
    root, (first, second) = repository
    commit = commit_of(Release("v1", first, "0001"), root)
    assert (exported(tmp_path, commit, root) / "number").read_text() == "1"
    with pytest.raises(YabamError, match="the tag is of"):
        commit_of(Release("v1", second, "0001"), root)
    assert commit_of(Release("v2", second, "0001"), root) == second, "no tag of that name is here"
    with pytest.raises(YabamError, match="git has no commit"):
        exported(tmp_path, "0" * 40, root)


def test_the_previous_release_is_named_in_one_place() -> None:
    release = newest()
    assert re.fullmatch(r"v\d+\.\d+\.\d+(-[a-z]+\.\d+)?", release.tag)
    assert re.fullmatch("[0-9a-f]{40}", release.commit)
    assert releases((ROOT / "releases.toml").read_text())[0] == release
    newer = [path.stem[1:5] for path in (ROOT / VERSIONS).glob("v[0-9]*.py")]
    assert release.schema in newer
    assert max(newer) > release.schema, "the drill needs a migration"
    assert f"`{release.tag}`" in DOCUMENT.read_text()


def message(seq: int, order: str, version: int, message_id: str = "", **more: Any) -> Received:
    data = {"id": f"store:1@{seq}", "seq": seq, "order_id": order, "order_version": version}
    body = {"type": "order.placed", "data": data} | more
    return Received(message_id or f"E/{seq}", "/", {}, "", body)


TAKEN = [message(5, "a", 2), message(6, "b", 1)]


def test_an_integrator_who_was_sent_the_whole_log_once_is_judged_clean() -> None:
    assert judge_webhooks({"store:1": LOG}, TAKEN).clean


@pytest.mark.parametrize(
    ("taken", "found"),
    [
        (TAKEN[1:], (1, 0, 0)),
        ([*TAKEN, TAKEN[1]], (0, 1, 0)),
        ([TAKEN[1], TAKEN[0]], (0, 0, 1)),
        ([*TAKEN, message(6, "b", 1, "other")], (0, 2, 0)),
        ([TAKEN[0], message(6, "b", 1, type="webhook.gap")], (2, 0, 0)),
        ([], (2, 0, 0)),
    ],
    ids=["lost", "sent-again", "out-of-order", "under-two-ids", "a-gap", "nothing"],
)
def test_what_an_integrator_was_not_sent_as_the_log_has_it_is_found(
    taken: list[Received], found: tuple[int, int, int]
) -> None:
    verdict = judge_webhooks({"store:1": LOG}, taken)
    assert (verdict.lost, verdict.doubled, verdict.out_of_order) == found


def test_what_the_senders_still_send_is_late_and_not_lost() -> None:
    verdict = judge_webhooks({"store:1": LOG}, TAKEN[:1], LOG[1:])
    assert (verdict.lost, verdict.late, verdict.clean) == (0, 1, False)
    verdict = judge_webhooks({"store:1": LOG}, TAKEN[1:], LOG)
    assert (verdict.lost, verdict.late) == (1, 0)


def test_what_core_still_gives_to_an_old_client_is_late_and_not_lost() -> None:
    verdict = judge_channel("store:1", GIVEN[:2], LOG, OPEN, LOG[1:])
    assert (verdict.lost, verdict.late, verdict.clean) == (0, 1, False)


class Slow:
    """A receiver that takes one more each time it is waited for, up to so many."""

    def __init__(self, limit: int) -> None:
        self.taken: list[int] = []
        self._limit = limit

    async def until(self, enough: Callable[[Any], bool], _within_s: float) -> None:
        if len(self.taken) == self._limit:
            raise TimeoutError
        self.taken.append(len(self.taken))
        assert enough(self)


@pytest.mark.parametrize(("sent", "waited_for"), [(9, 5), (3, 3)])
async def test_what_is_late_is_waited_for_until_nothing_comes(sent: int, waited_for: int) -> None:
    receiver: Any = Slow(sent)
    await until_nothing_comes(receiver, lambda one: len(one.taken) >= 5, 1.0)
    assert len(receiver.taken) == waited_for
