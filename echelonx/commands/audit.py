"""`audit`: who did what, and the proof that nobody changed it afterwards."""

from pathlib import Path
from typing import Any

import click

from accounts.audit import AuditEntry, entries_page
from accounts.audit_chain import Verdict, chains, export_lines, verify, verify_lines
from core.db import read
from core.errors import InvalidError
from echelonx.commands.output import Group, answer, as_json, table
from echelonx.commands.workspace import chosen, client_option, opened

BROKEN = 1


@click.group(cls=Group)
def audit() -> None:
    """Who did what; and proof that nobody changed it."""


@audit.command("list")
@click.option("-n", "limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@click.option("--actor", help="key:3, user:7, cli or system.")
@click.option("--action", help="campaign.launch; `read.` for all that begin so.")
@click.option("--target", help="campaign:7")
@client_option
@as_json
def list_(limit: int, client_id: int | None, as_json: bool, **filters: Any) -> None:
    """Show the newest entries, newest first.

    \b
    echelonx audit list
    echelonx audit list --actor key:3 --action read.
    """
    with opened() as services, read(services.sessions) as session:
        client = chosen(session, client_id)
        rows = [_row(one) for one in entries_page(session, client.id, limit=limit, **filters)]
    names = ("id", "at", "actor", "action", "target", "source")
    answer(rows, table(names, [[row[name] for name in names] for row in rows]), as_json=as_json)


@audit.command("verify")
@click.option("--file", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="An exported chain; needs no database.")  # fmt: skip
@click.option("--noted", help="SEQ:HASH noted earlier, which must still be in the chain.")
@client_option
@as_json
def verify_command(
    file: Path | None, noted: str | None, client_id: int | None, as_json: bool
) -> int:
    """Go along the chains of entries; exit with 1 if one was changed.

    Note the last line's seq and hash somewhere else: whoever rewrites a whole chain cannot rewrite
    your note.

    \b
    echelonx audit verify
    echelonx audit verify --noted 1042:9f2c…
    echelonx audit verify --file audit.jsonl
    """
    if file is not None:
        with file.open(encoding="utf-8") as lines:
            verdicts = [verify_lines(lines, noted=_noted(noted))]
    else:
        with opened() as services, read(services.sessions) as session:
            alone = client_id is not None or noted is not None
            whose = [chosen(session, client_id).id] if alone else chains(session)
            verdicts = [verify(session, one, noted=_noted(noted)) for one in whose]
    answer([_told(one) for one in verdicts], lambda: _face(verdicts), as_json=as_json)
    return BROKEN if any(one.problems for one in verdicts) else 0


@audit.command()
@client_option
def export(client_id: int | None) -> None:
    """Write a client's chain as JSON lines; `audit verify --file` proves it anywhere.

    \b
    echelonx audit export > audit.jsonl
    """
    with opened() as services, read(services.sessions) as session:
        for line in export_lines(session, chosen(session, client_id).id):
            click.echo(line)


def _noted(text: str | None) -> tuple[int, str] | None:
    if text is None:
        return None
    seq, _, hash = text.partition(":")
    if not (seq.isascii() and seq.isdigit() and hash):
        raise InvalidError("a note is a seq and its hash", field="noted", remedy="write SEQ:HASH")
    return int(seq), hash


def _row(entry: AuditEntry) -> dict[str, Any]:
    names = ("id", "at", "actor", "action", "target", "source", "ip", "before", "after", "detail",
             "seq", "hash")  # fmt: skip
    return {name: getattr(entry, name) for name in names}


def _told(one: Verdict) -> dict[str, Any]:
    return {
        "client": one.client_id,
        "intact": not one.problems,
        "entries": one.entries,
        "forgotten": one.kept_after,
        "unsealed": one.unsealed,
        "seq": one.seq,
        "hash": one.hash,
        "problems": one.problems,
    }


def _face(verdicts: list[Verdict]) -> str:
    lines = []
    for one in verdicts:
        whose = "no client" if one.client_id is None else f"client {one.client_id}"
        state = "; ".join(one.problems) or "intact"
        lines.append(f"{whose}: {one.entries} entries, {one.unsealed} not sealed yet, {state}")
        lines.append(f"  {one.seq}:{one.hash}")
    return "\n".join(lines) or "there is no entry yet"
