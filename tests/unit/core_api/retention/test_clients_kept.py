"""How long a client is remembered."""

from __future__ import annotations

from dataclasses import replace

from core_api.documents.definitions import Definitions
from core_api.documents.demonstration import DEFINITIONS, MENU
from core_api.retention.log_trim import CLIENTS_KEPT_S, clients_kept_s


def test_a_client_is_remembered_for_90_days() -> None:
    assert clients_kept_s(Definitions(DEFINITIONS)) == CLIENTS_KEPT_S == 90 * 86_400
    assert clients_kept_s(Definitions(())) == CLIENTS_KEPT_S


def test_a_client_is_remembered_as_long_as_its_edits_may_wait() -> None:
    patient = replace(MENU, max_age_s=MENU.history_s)
    assert clients_kept_s(Definitions((patient,))) == MENU.history_s
