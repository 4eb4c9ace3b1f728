"""`relcheck`: compare the log with what a provider says it took."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import click

from core.db import read
from core.errors import InvalidError
from echelonx.commands.output import answer, as_json, note, table
from echelonx.commands.workspace import settings as from_environment
from echelonx.relcheck.check import check
from echelonx.wiring import build

PROBLEM, PARTLY = 1, 4


class ExpectationError(InvalidError):
    """What the caller knows is not told as it should be."""

    code = "expectation"


@click.command()
@click.option("--db", "database_url", help="The database, instead of ECHELONX_DATABASE_URL.")
@click.option(
    "--provider-log",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="JSON lines of what a provider took.",
)
@click.option(
    "--expect",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A JSON object of what only you know: kills, window, ambiguous, …",
)
@as_json
def relcheck(
    database_url: str | None, provider_log: Path, expect: Path | None, as_json: bool
) -> int:
    """Judge ten promises: the log against what a provider took.

    Reads only. Exit code 0: all ten hold; 1: one does not; 4: too early to say, as a run is not
    finished.

    \b
    echelonx relcheck --provider-log accepts.jsonl
    echelonx relcheck --db sqlite:///echelonx.db --provider-log accepts.jsonl --json
    """
    settings = from_environment()
    if database_url:
        settings = dataclasses.replace(settings, database_url=database_url)
    services = build(settings)
    try:
        with read(services.sessions) as session:
            found = check(
                session,
                services.clock,
                services.references,
                provider_log=provider_log,
                expected=_expected(expect) if expect else {},
            )
    finally:
        services.close()
    answer(found, lambda: _page(found), as_json=as_json)
    if not all(told["ok"] for told in found["oracles"].values()):
        return PROBLEM
    if found["early"]:
        note(_early(found["early"]))
        return PARTLY
    return 0


def _early(runs: list[dict[str, Any]]) -> str:
    listed = ", ".join(
        f"run {one['run']} is {one['status']}, {one['open']:,} open" for one in runs[:10]
    )
    return (
        f"too early to say: {listed}\n"
        "    -> ask again when it is done (echelonx campaign list); one that waits: echelonx doctor"
    )


def _expected(path: Path) -> dict[str, Any]:
    try:
        told = json.loads(path.read_text())
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise ExpectationError(
            f"{path} is not a JSON object",
            field="expect",
            remedy='write {"kills": 20, "window": 50, "ambiguous": 354}',
        )
    return told


def _page(found: dict[str, Any]) -> str:
    rows = [
        (
            name,
            "ok" if told["ok"] else "WRONG",
            told["promise"],
            told["checked"],
            told["wrong"],
            told["note"] or (f"such as {told['examples']}" if told["examples"] else ""),
        )
        for name, told in found["oracles"].items()
    ]
    counts = ", ".join(f"{count:,} {name}" for name, count in found["counts"].items())
    return table(("oracle", "", "promise", "checked", "wrong", ""), rows) + f"\n\n{counts}"
