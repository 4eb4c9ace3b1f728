"""`doctor`: one line for each check, and what to do about it."""

import os
from collections import Counter
from dataclasses import asdict

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from core.log import configure
from core.settings import Settings, SettingsError
from echelonx.commands.output import answer, as_json
from echelonx.health.examination import examine
from echelonx.health.finding import Finding, State, fail

COLOURS = {State.OK: "green", State.WARN: "yellow", State.FAIL: "red", State.SKIP: "dim"}
WIDTH = 80


@click.command()
@as_json
def doctor(as_json: bool) -> int:
    """Check the installation. Exit code 1 says that something does not work.

    \b
    echelonx doctor
    echelonx doctor --json
    """
    found = _found()
    counts = Counter(finding.state for finding in found)
    if as_json:
        document = {"checks": [asdict(one) for one in found], "counts": dict(counts)}
        answer(document, "", as_json=True)
    else:
        _show(found, counts)
    return 1 if counts[State.FAIL] else 0


def _found() -> list[Finding]:
    try:
        settings = Settings.from_environment(os.environ)
    except SettingsError as error:
        return [fail("Config", str(error), error.remedy)]
    configure(settings)
    return list(examine(settings))


def _show(found: list[Finding], counts: Counter[State]) -> None:
    console = Console(highlight=False)
    grid = Table.grid(padding=(0, 2))
    grid.add_column(width=4)
    grid.add_column(min_width=12, max_width=16)
    grid.add_column(overflow="fold")
    for one in found:
        text = Text(one.fact)
        if one.remedy:
            text.append(f"\n-> {one.remedy}", "dim")
        grid.add_row(Text(one.state.value, COLOURS[one.state]), one.name, text)
    console.print(grid, width=min(WIDTH, console.width))
    parts = ", ".join(f"{counts[state]} {state.value}" for state in State if counts[state])
    console.print(f"\n{len(found)} checks: {parts}")
