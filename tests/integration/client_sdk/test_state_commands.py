"""`yabam state` and `yabam order` against a real Core."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from client_sdk.cli import main
from server_common.limits import HISTORY_ENTRIES
from tests.integration.core_service import CoreService, an_order, bearer, new_store, token


class Shell:
    """Runs commands as the owner of a store."""

    def __init__(self, core: CoreService, output: pytest.CaptureFixture[str]) -> None:
        self.url, self._output = core.stack.core_url, output
        self.store = new_store()
        self.token = token("owner", self.store)
        self.channel = f"public:{self.store}"

    def __call__(self, *words: str, core: str | None = None) -> tuple[int, list[str]]:
        """Run `yabam`; its status and what it said."""
        status = main([*words, "--core", core or self.url, "--token", self.token])
        return status, self._output.readouterr().out.splitlines()


@pytest.fixture
def yabam(core_process: CoreService, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(core_process, capsys)


def test_a_document_is_set_merged_and_shown(yabam: Shell) -> None:
    assert yabam("state", "set", yabam.channel, "waiting-time", '{"value": 20}') == (
        0,
        ["applied waiting-time@1"],
    )
    yabam("state", "merge", yabam.channel, "waiting-time", '{"value": 25}')
    assert yabam("state", "get", yabam.channel, "waiting-time") == (0, ['{"value":25}'])
    assert yabam("state", "get", yabam.channel) == (0, ['waiting-time@2 {"value":25}'])


def test_a_refusal_is_told_with_its_place(yabam: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["state", "set", yabam.channel, "waiting-time", '{"value": "soon"}']
    assert main([*words, "--core", yabam.url, "--token", yabam.token]) == 1
    assert "refused at /value" in capsys.readouterr().err


def test_a_history_tells_every_version(yabam: Shell) -> None:
    for value in (1, 2):
        yabam("state", "set", yabam.channel, "waiting-time", json.dumps({"value": value}))
    _, lines = yabam("state", "history", yabam.channel, "waiting-time")
    assert [json.loads(line)["version"] for line in lines] == [1, 2]


def test_what_was_exported_can_be_restored(yabam: Shell, tmp_path: Path) -> None:
    yabam("state", "set", yabam.channel, "waiting-time", '{"value": 20}')
    _, lines = yabam("state", "export", yabam.channel)
    file = tmp_path / "state.json"
    file.write_text("\n".join(lines))
    yabam("state", "set", yabam.channel, "waiting-time", '{"value": 30}')
    assert yabam("state", "restore", str(file))[0] == 0
    assert yabam("state", "get", yabam.channel, "waiting-time") == (0, ['{"value":20}'])


def test_a_party_that_leaves_takes_what_it_shared_along(yabam: Shell) -> None:
    party = f"party:{yabam.store}/5"
    line = '{"lines": {"a": {"name": "Rice", "quantity": 1, "unit_price": 1000}}}'
    yabam("state", "merge", party, "cart", line)
    yabam("state", "set", party, "bell", '{"rung": 1, "answered": 0}')
    place = f"{yabam.store}/5"
    told = (0, [f"{place}: the party has left; party 1 may come"])
    assert yabam("party", "leave", place) == told
    assert yabam("state", "get", party) == (0, ['party@1 {"number":1}'])
    assert yabam("party", "leave", "no-table")[0] == 2


def test_an_edit_without_a_network_waits_for_the_next_command(yabam: Shell, tmp_path: Path) -> None:
    queue = ["--queue", str(tmp_path), "--wait", "0.2"]
    words = ["state", "set", yabam.channel, "waiting-time", '{"value": 20}', *queue]
    status, lines = yabam(*words, core="http://127.0.0.1:1")
    assert status == 0
    assert lines[0].startswith("queued")
    words = ["state", "set", yabam.channel, "taking-orders", '{"value": true}']
    assert yabam(*words, "--queue", str(tmp_path))[0] == 0
    assert yabam("state", "get", yabam.channel, "waiting-time") == (0, ['{"value":20}'])


def test_an_orders_history_is_told(yabam: Shell) -> None:
    placed = httpx.post(
        f"{yabam.url}/v1/orders",
        json=an_order(yabam.store),
        headers=bearer(yabam.token, idempotency_key=yabam.store),
    )
    _, lines = yabam("order", "history", placed.json()["id"])
    assert [json.loads(line)["type"] for line in lines] == ["order.placed"]


def test_a_document_is_json_for_a_program_with_its_version(yabam: Shell) -> None:
    words = ["state", "set", yabam.channel, "waiting-time", '{"value": 20}', "--json"]
    _, (settled,) = yabam(*words)
    shown = {"channel": yabam.channel, "key": "waiting-time", "version": 1, "value": {"value": 20}}
    assert json.loads(settled).items() >= (shown | {"outcome": "applied"}).items()
    _, (got,) = yabam("state", "get", yabam.channel, "waiting-time", "--json")
    assert json.loads(got).items() >= shown.items()
    _, (exported,) = yabam("state", "export", yabam.channel, "--json")
    assert json.loads(exported) == {yabam.channel: {"waiting-time": {"value": 20}}}


def test_an_edit_that_waits_is_json_too(yabam: Shell, tmp_path: Path) -> None:
    queue = ["--queue", str(tmp_path), "--wait", "0.2", "--json"]
    words = ["state", "set", yabam.channel, "waiting-time", '{"value": 20}', *queue]
    _, (queued,) = yabam(*words, core="http://127.0.0.1:1")
    assert json.loads(queued)["outcome"] == "queued"


def test_an_order_is_placed_listed_stepped_and_shown(yabam: Shell) -> None:
    place = ["order", "place", "--store", yabam.store, "--table", "5", "--item", "김밥:2:3500"]
    _, (placed,) = yabam(*place, "--json")
    order = json.loads(placed)["id"]
    _, (listed,) = yabam("order", "list", "--store", yabam.store)
    assert listed.split()[1:3] == ["placed", order]
    assert yabam("order", "step", order, "accepted")[1][0].startswith(f"accepted {order}")
    _, shown = yabam("order", "show", order)
    assert shown[:2] == [f"order    {order}", "status   accepted, version 2"]
    assert shown[-1] == "    2 × 김밥  at 3500"
    yabam("order", "step", order, "cancelled")
    assert yabam("order", "list", "--store", yabam.store) == (0, [])


def test_a_watch_prints_each_change_and_ends_when_its_reader_goes(yabam: Shell) -> None:
    words = ["state", "watch", yabam.channel, "waiting-time", "--json", "--core", yabam.url]
    with subprocess.Popen(
        [sys.executable, "-m", "client_sdk.cli", *words, "--token", yabam.token],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as watching:
        assert watching.stdout is not None
        assert watching.stderr is not None
        assert json.loads(watching.stdout.readline())["value"] is None
        yabam("state", "set", yabam.channel, "waiting-time", '{"value": 20}')
        news = json.loads(watching.stdout.readline())
        assert (news["version"], news["value"]) == (1, {"value": 20})
        watching.stdout.close()
        assert "Traceback" not in watching.stderr.read()
        assert watching.wait(30) == 0


def test_a_key_that_nothing_defines_is_told_as_such(
    yabam: Shell, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["state", "get", yabam.channel, "sold_out", "--core", yabam.url, "--token", yabam.token]
    assert main(words) == 1
    assert "no definition knows sold_out" in capsys.readouterr().err
    assert yabam("state", "get", yabam.channel, "sold-out") == (0, ["null"])


def test_an_edit_in_a_new_queue_without_a_network_is_told_that_it_has_no_base(
    yabam: Shell, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["state", "merge", yabam.channel, "waiting-time", '{"value": 20}', "--wait", "0.2"]
    connection = ["--core", "http://127.0.0.1:1", "--token", yabam.token]
    queue = ["--queue", str(tmp_path)]
    assert main([*words, *queue, *connection]) == 0
    assert "nothing is known here of this document" in capsys.readouterr().err
    # This one is made on the one before.
    assert main([*words, *queue, *connection]) == 0
    assert "nothing is known here of this document" not in capsys.readouterr().err


def test_an_orders_history_is_told_to_its_end(yabam: Shell) -> None:
    placed = httpx.post(
        f"{yabam.url}/v1/orders",
        json=an_order(yabam.store),
        headers=bearer(yabam.token, idempotency_key=yabam.store),
    ).json()
    for n in range(HISTORY_ENTRIES):
        httpx.patch(
            f"{yabam.url}/v1/orders/{placed['id']}",
            json={"note": str(n)},
            headers=bearer(yabam.token, idempotency_key=f"{yabam.store}-{n}"),
        ).raise_for_status()
    _, lines = yabam("order", "history", placed["id"])
    assert [json.loads(line)["version"] for line in lines] == list(range(1, HISTORY_ENTRIES + 2))
