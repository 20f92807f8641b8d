"""What somebody may ask to have revoked."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from core_api.api.handlers.revocation_handlers import Revoke, new_revocation
from core_api.errors import InvalidError

NOW = 1000.7


def test_a_subject_is_revoked_until_now_or_until_a_moment_before() -> None:
    assert new_revocation(Revoke("subject", "ann"), "ops", NOW).before == 1000
    assert new_revocation(Revoke("subject", "ann", 900), "ops", NOW).before == 900


def test_a_token_may_say_when_it_can_be_forgotten() -> None:
    wanted = new_revocation(Revoke("token", "t1", until=2000), "ops", NOW)
    assert (wanted.before, wanted.until) == (0, datetime.fromtimestamp(2000, UTC))


@pytest.mark.parametrize(
    "asked",
    [
        Revoke("token", "t1", before=900),
        Revoke("session", "s1", before=900),
        Revoke("subject", "ann", before=1100),
        Revoke("subject", "an\nn"),
        Revoke("token", ""),
    ],
)
def test_what_cannot_mean_anything_is_refused(asked: Revoke) -> None:
    with pytest.raises(InvalidError):
        new_revocation(asked, "ops", NOW)
