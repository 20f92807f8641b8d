"""The primary is found among the hosts of a URL, and a standby is never taken for it."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest
from asyncpg.connect_utils import SessionAttribute

from core_api.postgres.pool import Primary, hosts_of


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("postgresql://db", ["postgresql://db"]),
        ("postgresql://u:p@db:5432/x", ["postgresql://u:p@db:5432/x"]),
        (
            "postgres://u:p,q@a:1,[::1]:2,c/x?sslmode=require",
            [f"postgres://u:p,q@{host}/x?sslmode=require" for host in ("a:1", "[::1]:2", "c")],
        ),
        ("postgresql://a,b?user=u@v", ["postgresql://a?user=u@v", "postgresql://b?user=u@v"]),
        ("postgresql:///x?host=/run/postgresql", ["postgresql:///x?host=/run/postgresql"]),
    ],
)
def test_each_host_has_all_else_of_the_url(url: str, hosts: list[str]) -> None:
    assert hosts_of(url) == hosts


class Hosts:
    """Servers that answer connections, or not."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.primary = "a"
        self.asked: list[str] = []
        self.error: Exception = OSError("refused")
        monkeypatch.setattr(asyncpg, "connect", self.connect)

    async def connect(self, url: str, **arguments: Any) -> object:
        assert arguments == {"target_session_attrs": SessionAttribute.primary}
        host = url.rpartition("/")[2]
        self.asked.append(host)
        if host != self.primary:
            raise self.error
        return object()


async def test_the_host_that_was_the_primary_last_is_asked_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hosts = Hosts(monkeypatch)
    hosts.primary = "c"
    primary = Primary("postgresql://a,b,c")
    for _ in range(2):
        await primary.connect()
    assert hosts.asked == ["a", "b", "c", "c"]


async def test_where_none_lets_us_in_the_last_ones_answer_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hosts = Hosts(monkeypatch)
    hosts.primary = "nobody"
    with pytest.raises(OSError, match="refused"):
        await Primary("postgresql://a,b").connect()
    assert hosts.asked == ["a", "b"]


async def test_what_the_next_host_would_refuse_as_well_is_told_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hosts = Hosts(monkeypatch)
    hosts.primary, hosts.error = "b", ValueError("a bad argument")
    with pytest.raises(ValueError, match="bad argument"):
        await Primary("postgresql://a,b").connect()
    assert hosts.asked == ["a"]
