"""Mirrors echelonx/demo/workspace.py."""

import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import ConflictError, NotFoundError
from core.settings import Settings
from echelonx.demo.workspace import Workspace, clean, environment


def test_a_directory_with_something_else_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")

    with pytest.raises(ConflictError, match="not a demo's"):
        Workspace(tmp_path)
    with pytest.raises(NotFoundError):
        clean(tmp_path)
    assert (tmp_path / "thesis.txt").exists()


def test_seed_and_database_stay_what_they_were(tmp_path: Path) -> None:
    first = Workspace(tmp_path / "demo")
    first.choose(seed=7, port=0)
    first.keep(database=str(first.settings(None, None) and first.state["database"]))
    again = Workspace(tmp_path / "demo")

    with pytest.raises(ConflictError, match="seed 7"):
        again.choose(seed=8, port=0)
    with pytest.raises(ConflictError, match="a demo on sqlite"):
        again.settings("postgresql://host/name", None)
    again.choose(seed=None, port=None)
    assert again.state["seed"] == 7


def test_a_seed_makes_the_same_key(tmp_path: Path) -> None:
    def key(name: str, seed: int | None) -> str | None:
        made = Workspace(tmp_path / name)
        made.choose(seed=seed, port=0)
        path = made.directory / "secret.key"
        return path.read_text() if path.exists() else None

    assert key("a", 7) == key("b", 7) != key("c", 8)
    assert key("d", None) is None, "without a seed the key is a secret"


def test_a_child_gets_the_very_same_settings(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "demo")
    workspace.choose(seed=None, port=0)
    settings = workspace.settings(None, None)

    assert Settings.from_environment(environment(settings)) == settings


def test_a_shell_that_reads_the_file_finds_echelonx_and_the_demo(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "my demo's")
    workspace.choose(seed=None, port=0)
    workspace.write_environment(workspace.settings(None, None))
    beside = Path(sys.executable).parent

    told = subprocess.run(
        ["/bin/sh", "-c", '. "$0" && echo "$PATH" && echo "$ECHELONX_DATA_DIR"',
         str(workspace.environment_file)],
        env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert told.stdout == f"{beside}:/usr/bin:/bin\n{workspace.directory}\n"


def test_clean_removes_a_demo(tmp_path: Path) -> None:
    Workspace(tmp_path / "demo").keep(seed=1)

    clean(tmp_path / "demo")

    assert not (tmp_path / "demo").exists()
