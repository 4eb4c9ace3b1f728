"""`import`: files of people: what they hold, what became of them, and how that is taken back."""

from pathlib import Path
from typing import Any

import click

from core.db import read, write
from core.errors import EngineError
from echelonx.commands.output import answer, as_json, bar, facts, note, table
from echelonx.commands.workspace import chosen, client_option, opened
from echelonx.wiring import Services
from members.errors import ImportStateError
from members.import_job import (
    ImportJob,
    ImportStatus,
    pause_import,
    queue_import,
    resume_import,
)
from members.importing import ImportOptions, ImportRun
from members.preview import Preview, preview
from members.queries import import_job
from members.rejects import free_beside, rejects_csv
from members.source import format_of
from members.undo import COUNTS as UNDONE
from members.undo import advance_undo, undo_import
from members.upsert import Existing

COUNTS = ("rows", "created", "updated", "unchanged", "rejected", "duplicates", "suppressed")
REJECTED = 4
"""Exit code of an import that left rows out: partly done."""


class MappingError(EngineError):
    """A --map cannot be understood."""

    code = "settings"


@click.command("import")
@click.argument(
    "file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--map", "mapping", multiple=True, help="HEADER=FIELD; FIELD empty leaves it out.")
@click.option("--consent", multiple=True, help="A channel everybody in the file agreed to.")
@click.option("--wording", help="The text they agreed to.")
@click.option("--said-by", help="Where and how they agreed; kept as proof.")
@click.option(
    "--existing",
    type=click.Choice([one.value for one in Existing]),
    default=Existing.FILL.value,
    show_default=True,
    help="Of people who are members: fill what is blank, overwrite, or skip.",
)
@click.option("--country", help="Two letters: where phone numbers without + are.")
@click.option("--date-order", type=click.Choice(["ymd", "dmy", "mdy"]), default="ymd")
@click.option("--decimal", type=click.Choice([".", ","]), default=".", help="Sign of decimals.")
@click.option("--encoding", help="Of a CSV file; found by itself as a rule.")
@click.option("--header/--no-header", default=None, help="Whether row 1 names the columns.")
@click.option("--sheet", help="Of a workbook; the first as a rule.")
@click.option("--tag", multiple=True, help="A tag for everybody in the file.")
@click.option("--preview", "looking", is_flag=True, help="Say what the columns would be read as.")
@click.option("--dry-run", is_flag=True, help="Say what would happen, change nothing.")
@click.option("--rejects", type=click.Path(dir_okay=False, path_type=Path), help="Rejected rows.")
@click.option("--status", type=int, metavar="ID", help="Show an import.")
@click.option("--resume", type=int, metavar="ID", help="Go on with one, in the same FILE.")
@click.option("--undo", type=int, metavar="ID", help="Take one back, within a day.")
@client_option
@as_json
def import_(
    file: Path | None,
    looking: bool,
    client_id: int | None,
    as_json: bool,
    **given: Any,
) -> int:
    """Import people from a CSV or XLSX file; those who are known already are completed.

    Exports of listmonk and Mailchimp are recognised. Rows that cannot be used go to --rejects
    (FILE.rejects.csv), each with its reason.
    Exit code 4 says that some were.

    \b
    echelonx import people.csv --preview
    echelonx import people.csv --dry-run
    echelonx import people.csv --map "E-Mail=email" --map "Town=attributes.city"
    echelonx import people.csv --consent email --wording "Yes, write to me"
    echelonx import --status 12
    echelonx import people.csv --resume 12
    echelonx import --undo 12
    """
    with opened() as services:
        with read(services.sessions) as session:
            client = chosen(session, client_id)
        if looking:
            seen = preview(
                _named(file), _options(given), country=given["country"] or client.country
            )
            shown = _seen(seen)
            answer(shown, lambda: _seen_as_text(shown), as_json=as_json)
            return 0
        job, rejects = _done(services, client.id, file, given)
    shown = _shown(job, rejects)
    answer(shown, lambda: _told(shown), as_json=as_json)
    return REJECTED if rejects is not None else 0


def _done(
    services: Services, client_id: int, file: Path | None, given: dict[str, Any]
) -> tuple[ImportJob, Path | None]:
    """Do what was asked; return the import, and where its rejects are if it has just run."""
    if given["status"] is not None:
        with read(services.sessions) as session:
            return import_job(session, client_id, given["status"]), None
    if given["undo"] is not None:
        return _undone(services, client_id, given["undo"]), None
    if given["resume"] is not None:
        return _resumed(services, client_id, given["resume"], file, given["rejects"])
    return _imported(services, client_id, _named(file), given)


def _named(file: Path | None) -> Path:
    if file is None:
        raise click.UsageError("Name a file of people, or an import: --status, --resume, --undo.")
    return file


def _imported(
    services: Services, client_id: int, file: Path, given: dict[str, Any]
) -> tuple[ImportJob, Path | None]:
    rejects: Path = given["rejects"] or free_beside(file)
    if rejects.exists() and rejects.samefile(file):
        raise click.UsageError("--rejects would write over the file that is read.")
    with write(services.sessions) as session:
        queued = queue_import(
            session,
            services.clock,
            client_id=client_id,
            filename=file.name,
            options=_options(given),
            format=format_of(file),
            dry_run=given["dry_run"],
            actor="cli",
        )
    job = _run(services, queued, file, rejects)
    return job, rejects if job.rejected else None


def _run(services: Services, job: ImportJob, file: Path, rejects: Path | None) -> ImportJob:
    """Run an import to its end; interrupted, it is paused after the rows it is at."""
    run = ImportRun(services.sessions, services.clock, services.hasher, job_id=job.id, path=file)
    try:
        with bar("Rehearsing" if job.dry_run else "Importing") as progress:
            return run.to_the_end(rejects, lambda counts: progress(counts.rows, counts.total))
    except KeyboardInterrupt:
        with write(services.sessions) as session:
            pause_import(session, client_id=job.client_id, import_id=job.id)
        note(f"paused; go on with: echelonx import {file} --resume {job.id}")
        raise


def _resumed(
    services: Services, client_id: int, import_id: int, file: Path | None, rejects: Path | None
) -> tuple[ImportJob, Path | None]:
    """Go on with an import that was paused, or whose process died."""
    with write(services.sessions) as session:
        job = import_job(session, client_id, import_id)
        if job.status is ImportStatus.PAUSED:
            resume_import(session, client_id=client_id, import_id=import_id)
        until = job.leased_until
        if (
            until is not None
            and job.status is ImportStatus.RUNNING
            and until > services.clock.now()
        ):
            raise ImportStateError(
                f"import {import_id} may still be at work",
                remedy=f"if it is not, try again after {until:%H:%M:%S} UTC",
            )
    if job.kept_as is not None:
        file = services.settings.data_dir / "imports" / job.kept_as
    path = _named(file)
    job = _run(services, job, path, None)
    if not job.rejected:
        return job, None
    rejects = rejects or free_beside(path)
    with rejects.open("w", encoding="utf-8", newline="") as target:
        target.writelines(rejects_csv(services.sessions, client_id=client_id, import_id=job.id))
    return job, rejects


def _undone(services: Services, client_id: int, import_id: int) -> ImportJob:
    """Take an import back; one that a worker is at is left to it."""
    with write(services.sessions) as session:
        if import_job(session, client_id, import_id).status is not ImportStatus.UNDOING:
            undo_import(session, services.clock, client_id=client_id, import_id=import_id)
    with bar("Undoing") as progress:
        while True:
            with write(services.sessions) as session:
                more = advance_undo(session, services.clock)
                job = import_job(session, client_id, import_id)
            if not more or job.status is not ImportStatus.UNDOING:
                return job
            progress(sum(job.report["undo"][name] for name in UNDONE), None)


def _options(given: dict[str, Any]) -> ImportOptions:
    return ImportOptions(
        mapping=_mapping(given["mapping"]),
        existing=Existing(given["existing"]),
        header=given["header"],
        encoding=given["encoding"],
        sheet=given["sheet"],
        country=given["country"],
        date_order=given["date_order"],
        decimal=given["decimal"],
        consent_channels=given["consent"],
        consent_wording=given["wording"],
        consent_source=given["said_by"],
        tags=given["tag"],
    )


def _mapping(given: tuple[str, ...]) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for text in given:
        header, sign, field = text.rpartition("=")
        if not sign:
            raise MappingError(
                f"--map {text!r} has no =", remedy='write --map "Header=field", such as Town=city'
            )
        found[header.strip()] = field.strip() or None
    return found


def _shown(job: ImportJob, rejects: Path | None) -> dict[str, Any]:
    shown: dict[str, Any] = {"import": job.id, "status": job.status.value, "dry_run": job.dry_run}
    shown |= {name: getattr(job, name) for name in COUNTS}
    report = job.report
    shown |= {n: report[n] for n in ("ignored", "guessed", "doubts", "doubtful") if report.get(n)}
    if "undo" in report:
        shown["undo"] = {name: report["undo"][name] for name in UNDONE}
    if job.error:
        shown["error"] = job.error
    if rejects is not None:
        shown["rejects"] = str(rejects)
    if report.get("reasons"):
        shown["reasons"] = report["reasons"]
    return shown


def _told(shown: dict[str, Any]) -> str:
    said = {name: _listed(value) for name, value in shown.items() if name != "reasons"}
    text = facts(said)
    if "reasons" not in shown:
        return text
    columns = ("count", "column", "message")
    reasons = [[reason[name] for name in columns] for reason in shown["reasons"]]
    return f"{text}\n\n{table(columns, reasons)}"


def _listed(value: Any) -> Any:
    """Return names and what is said of each as people read them."""
    pairs = value.items() if isinstance(value, dict) else ()
    return [f"{name}: {said}" for name, said in pairs] or value


def _seen(seen: Preview) -> dict[str, Any]:
    names = ("format", "encoding", "delimiter", "header", "rows", "problem", "remedy")
    columns = [
        {
            "name": one.name,
            "guess": one.guess,
            "certainty": one.certainty,
            "taken": one.taken,
            "doubt": one.doubt,
            "examples": list(one.examples),
        }
        for one in seen.columns
    ]
    return {name: getattr(seen, name) for name in names} | {
        "sheets": list(seen.sheets),
        "columns": columns,
        "ignored": list(seen.ignored),
    }


def _seen_as_text(shown: dict[str, Any]) -> str:
    listed = ("columns", "ignored")
    text = facts({name: value for name, value in shown.items() if name not in listed})
    rows = [
        [
            one["name"],
            (one["guess"] or "-") if one["taken"] else "left out",
            one["certainty"] if one["taken"] else one["guess"] and f"{one['guess']}?",
            " | ".join(one["examples"])[:60],
        ]
        for one in shown["columns"]
    ]
    doubts = [f"{one['name']}: {one['doubt']}" for one in shown["columns"] if one["doubt"]]
    return "\n".join(
        [text, "", table(("column", "read as", "certainty", "examples"), rows), *doubts]
    )
