"""`import` and `member`: people, in bulk and one at a time."""

from pathlib import Path
from typing import Any

import click

from accounts.client import Client
from core.db import read
from core.errors import EngineError
from echelonx.commands.output import answer, as_json, facts, note
from echelonx.commands.workspace import chosen, client_option, opened
from members.importing import ImportCounts, ImportOptions, import_csv
from members.member import Member
from members.queries import Around, around, member_by_email, member_by_key
from members.queries import member as member_by_id

COUNTS = ("rows", "created", "updated", "unchanged", "rejected")
REJECTED = 4
"""Exit code of an import that left rows out: partly done."""


class MappingError(EngineError):
    """A --map cannot be understood."""

    code = "settings"


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--map", "mapping", multiple=True, help="HEADER=FIELD; FIELD empty leaves it out.")
@click.option("--consent", multiple=True, help="A channel everybody in the file agreed to.")
@click.option("--wording", help="The text they agreed to.")
@click.option("--country", help="Two letters: where phone numbers without + are.")
@click.option("--tag", multiple=True, help="A tag for everybody in the file.")
@click.option("--dry-run", is_flag=True, help="Say what would happen, change nothing.")
@click.option("--rejects", type=click.Path(dir_okay=False, path_type=Path), help="Rejected rows.")
@client_option
@as_json
def import_(
    file: Path,
    mapping: tuple[str, ...],
    dry_run: bool,
    rejects: Path | None,
    client_id: int | None,
    as_json: bool,
    **given: Any,
) -> int:
    """Import people from a CSV file; those who are known already are updated.

    Rows that cannot be used go to --rejects (FILE.rejects.csv), each with its reason.
    Exit code 4 says that some were.

    \b
    echelonx import people.csv --dry-run
    echelonx import people.csv --map "E-Mail=email" --map "Town=attributes.city"
    echelonx import people.csv --consent email --wording "Yes, write to me"
    """
    options = ImportOptions(
        mapping=_mapping(mapping),
        country=given["country"],
        consent_channels=given["consent"],
        consent_wording=given["wording"],
        tags=given["tag"],
    )
    rejects = rejects or file.with_suffix(".rejects.csv")
    with opened() as services:
        with read(services.sessions) as session:
            client = chosen(session, client_id)
        job = import_csv(
            services.sessions,
            services.clock,
            services.hasher,
            client_id=client.id,
            path=file,
            filename=file.name,
            options=options,
            dry_run=dry_run,
            rejects_path=rejects,
            on_progress=_progress,
        )
    values = {name: getattr(job, name) for name in COUNTS}
    shown = {"import": job.id, "dry_run": dry_run} | values
    if job.rejected:
        shown["rejects"] = str(rejects)
    answer(shown, facts(shown), as_json=as_json)
    return REJECTED if job.rejected else 0


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


def _progress(counts: ImportCounts) -> None:
    if counts.rows % 10_000 == 0:
        note(f"{counts.rows:,} rows read, {counts.rejected:,} rejected")


@click.group()
def member() -> None:
    """Look at a person."""


@member.command()
@click.argument("who")
@client_option
@as_json
def show(who: str, client_id: int | None, as_json: bool) -> None:
    """Show a person by id, by your own id for them, or by e-mail address.

    \b
    echelonx member show 12
    echelonx member show ana@example.com
    """
    with opened() as services, read(services.sessions) as session:
        client = chosen(session, client_id)
        found = _found(session, client, who)
        values = [_shown(one, around(session, client.id, [one.id])[one.id]) for one in found]
    for value in values:
        answer(value, facts(value), as_json=as_json)


def _found(session: Any, client: Client, who: str) -> list[Member]:
    if who.isdigit():
        return [member_by_id(session, client.id, int(who))]
    if "@" in who:
        found = member_by_email(session, client.id, who.strip().lower())
        if found:
            return found
    return [member_by_key(session, client.id, who)]


def _shown(one: Member, near: Around) -> dict[str, Any]:
    names = ("id", "member_id", "first_name", "last_name", "email", "phone", "tier", "status")
    return {name: getattr(one, name) for name in names} | {
        "tags": list(near.tags),
        "addresses": [f"{a.channel} {a.state.value}" for a in near.addresses],
        "consents": [f"{c.channel} {c.topic} {c.state.value}" for c in near.consents],
        "attributes": one.attributes,
    }
