"""What `docs/settings.md` says of each setting."""

from __future__ import annotations

import pytest

from deploy.settings_table import PROCESSES, meanings


@pytest.mark.parametrize("process", PROCESSES)
def test_every_setting_is_described(process: str) -> None:
    settings = PROCESSES[process]
    said = meanings(settings)
    assert [name for name in settings.model_fields if not said.get(name)] == []
