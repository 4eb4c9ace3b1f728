"""Mirrors channels/registry.py."""

import importlib
from dataclasses import fields
from pathlib import Path

import pytest

import channels
from channels.registry import (
    UnknownProviderError,
    adapter_names,
    receiver,
    sender,
)

ROOT = Path(channels.__path__[0]).parent


def test_every_provider_file_is_registered_by_its_own_name() -> None:
    files = (ROOT / "channels/providers").glob("*.py")
    assert adapter_names() == sorted(f.stem for f in files if f.stem != "__init__")


@pytest.mark.parametrize("name", adapter_names())
def test_every_setting_is_on_the_providers_page(name: str) -> None:
    config = importlib.import_module(f"channels.providers.{name}").Config
    page = (ROOT / f"docs/providers/{name}.md").read_text("utf-8")
    assert [field.name for field in fields(config) if f"`{field.name}`" not in page] == []


@pytest.mark.parametrize("find", [sender, receiver])
def test_an_unknown_provider_is_refused_with_those_there_are(find: object) -> None:
    with pytest.raises(UnknownProviderError) as caught:
        find("pigeon")
    assert caught.value.field == "adapter"
    assert "twilio" in str(caught.value.remedy)
