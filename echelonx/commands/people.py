"""`export`: people, in bulk."""

from pathlib import Path

import click

from core.db import read
from echelonx.commands.output import answer, as_json, bar, facts
from echelonx.commands.segment import rule_of
from echelonx.commands.workspace import chosen, client_option, opened
from members.exporting import Exported, ExportFormat, export_members


@click.command("export")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--segment", "who", help="A segment's name or a rule; everybody when not given.")
@click.option(
    "--format",
    "kind",
    type=click.Choice([one.value for one in ExportFormat]),
    help="By the file's ending when not given.",
)
@client_option
@as_json
def export(
    file: Path, who: str | None, kind: str | None, client_id: int | None, as_json: bool
) -> None:
    """Export members to a file that can be imported again.

    CSV, JSON lines (.jsonl) or Parquet (.parquet, with pip install 'echelonx[files]').

    \b
    echelonx export people.csv
    echelonx export warm.jsonl --segment "Warm leads"
    """
    told = Exported()
    with opened() as services:
        with read(services.sessions) as session:
            client = chosen(session, client_id)
            rule = rule_of(session, client.id, who) if who is not None else None
        parts = export_members(
            services.sessions,
            client_id=client.id,
            format=ExportFormat(kind or _ending(file)),
            now=services.clock.now(),
            condition=rule,
            told=told,
        )
        with bar("Exporting") as progress, file.open("wb") as target:
            for part in parts:
                target.write(part)
                progress(told.rows, None)
    values = {"file": str(file), "rows": told.rows, "sha256": told.sha256}
    answer(values, facts(values), as_json=as_json)


def _ending(file: Path) -> str:
    ending = file.suffix.removeprefix(".").lower()
    return ending if ending in list(ExportFormat) else ExportFormat.CSV.value
