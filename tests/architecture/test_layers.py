"""Layers: each imports those below it, never above or beside (pyproject.toml, importlinter)."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_no_layer_imports_one_above_or_beside_it() -> None:
    """In a process of its own: import-linter turns off every logger that is there."""
    command = Path(sys.executable).parent / "lint-imports"
    told = subprocess.run(
        [command, "--config", "pyproject.toml", "--no-cache"],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert told.returncode == 0, (
        "Move what both need to the layer below, or hand it in from echelonx/wiring.py:\n"
        + told.stdout
        + told.stderr
    )
