"""Environment variables are read by name, a missing one is named."""

import pytest
from contact_sync import settings


def test_a_variable_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_NAME", "value")
    assert "value" == settings.read("SOME_NAME")


@pytest.mark.parametrize("value", [None, ""])
def test_a_missing_variable_is_named(value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOME_NAME", raising=False)
    if value is not None:
        monkeypatch.setenv("SOME_NAME", value)
    with pytest.raises(settings.SettingMissingError, match="SOME_NAME"):
        settings.read("SOME_NAME")
