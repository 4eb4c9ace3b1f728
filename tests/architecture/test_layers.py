"""Layers: each imports those below it, never above or beside (pyproject.toml, importlinter)."""

import os
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

ROOT = Path(__file__).parents[2]


def test_no_layer_imports_one_above_or_beside_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setitem(os.environ, "COLUMNS", "200")

    code = lint_imports(config_filename="pyproject.toml", no_cache=True)

    assert code == 0, (
        "Move what both need to the layer below, or hand it in from echelonx/wiring.py:\n"
        + capsys.readouterr().out
    )
