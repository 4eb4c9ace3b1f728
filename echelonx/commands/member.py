"""`member`: one person: who it is, what was sent and why not, and two that are one."""

from pathlib import Path
from typing import Any

import click
from sqlalchemy.orm import Session

from accounts.audit import record
from accounts.client import Client
from communications import dossier_file
from communications.dossier import dossier
from communications.dossier_file import write_zip
from communications.thread import thread
from communications.upcoming import upcoming
from core.db import read, write
from core.errors import InvalidError
from echelonx.commands.output import Group, answer, as_json, facts, table
from echelonx.commands.whom import members_called
from echelonx.commands.workspace import chosen, client_option, opened
from members.identity import EXTERNAL, identities
from members.member import Member
from members.merge import merge as merge_members
from members.merge import undo_merge
from members.queries import Around, around
from members.queries import member as member_by_id
from members.score import scores_of
from members.search import search as search_members
from members.suppression import scopes

ACTOR = "cli"


@click.group(cls=Group)
def member() -> None:
    """Look at people. WHO is an id, your own id for them, or an e-mail address."""


@member.command()
@click.argument("who")
@client_option
@as_json
def show(who: str, client_id: int | None, as_json: bool) -> None:
    """Show a person: addresses and what forbids them, consents, what waits to be sent.

    \b
    echelonx member show 12
    echelonx member show ana@example.com
    """
    with opened() as services, read(services.sessions) as session:
        client = chosen(session, client_id)
        values = [_shown(session, one) for one in _found(session, client, who)]
    for value in values:
        answer(value, facts(value), as_json=as_json)


@member.command()
@click.argument("who")
@click.option("--csv", "file", type=click.Path(dir_okay=False, path_type=Path),
              help="Write a ZIP with a CSV for each kind of data there.")  # fmt: skip
@client_option
def export(who: str, file: Path | None, client_id: int | None) -> None:
    """Write everything that is kept about a member, as JSON.

    \b
    echelonx member export 12 > member-12.json
    echelonx member export ana@example.com --csv ana.zip
    """
    with opened() as services, write(services.sessions) as session:
        client = chosen(session, client_id)
        member_id = _only_one(session, client, who)
        found = dossier(session, services.content, client_id=client.id, id=member_id)
        if file is not None:
            with file.open("wb") as out:
                write_zip(found, out)
        else:
            for part in dossier_file.as_json(found, member_id=member_id, at=services.clock.now()):
                click.echo(part, nl=False)
        record(
            session, services.clock, client_id=client.id, actor=ACTOR,
            action="read.member.export", target=f"member:{member_id}",
        )  # fmt: skip


@member.command()
@click.argument("words")
@click.option("--limit", type=click.IntRange(1, 100), default=20, show_default=True)
@client_option
@as_json
def search(words: str, limit: int, client_id: int | None, as_json: bool) -> None:
    """Search people by what a name, address, number or id begins with, or by tag.

    \b
    echelonx member search "ana st"
    echelonx member search 2015550123
    """
    names = ("id", "member_id", "full_name", "email", "phone")
    with opened() as services, read(services.sessions) as session:
        client = chosen(session, client_id)
        found = search_members(session, client.id, words, country=client.country, limit=limit)
        rows = [
            {name: getattr(one.member, name) for name in names}
            | {"found_by": one.by, "score": one.score}
            for one in found
        ]
    columns = (*names, "found_by")
    answer(
        {"members": rows},
        lambda: table(columns, [[row[name] for name in columns] for row in rows]),
        as_json=as_json,
    )


@member.command()
@click.argument("who")
@click.option("--all", "everything", is_flag=True, help="Events, consents, notes, edits too.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@client_option
@as_json
def why(who: str, everything: bool, limit: int, client_id: int | None, as_json: bool) -> None:
    """Tell what a person was sent and what not, each with its reason, newest first.

    \b
    echelonx member why ana@example.com
    echelonx member why 12 --all
    """
    kinds = None if everything else ("message", "receipt")
    with opened() as services, read(services.sessions) as session:
        client = chosen(session, client_id)
        rows = [
            {"at": one.at, "kind": one.kind, "id": one.id, "what": one.what, "detail": one.detail}
            for person in _found(session, client, who)
            for one in thread(session, client.id, person.id, kinds=kinds, limit=limit)
        ]
    columns = ("at", "kind", "what", "detail")
    answer(
        {"entries": rows},
        lambda: table(columns, [[row[name] for name in columns] for row in rows]),
        as_json=as_json,
    )


@member.command()
@click.argument("who")
@client_option
@as_json
def score(who: str, client_id: int | None, as_json: bool) -> None:
    """Show a person's numbers as they were last computed, each with its reasons.

    \b
    echelonx member score 12
    echelonx member score ana@example.com --json
    """
    names = ("kind", "value", "low", "high", "version", "reasons", "computed_at")
    with opened() as services, read(services.sessions) as session:
        client = chosen(session, client_id)
        rows = [
            {"member": person.id} | {name: getattr(one, name) for name in names}
            for person in _found(session, client, who)
            for _, one in sorted(scores_of(session, client.id, person.id).items())
        ]
    columns = ("member", "kind", "value", "low", "high", "computed_at", "because")
    answer(
        {"scores": rows},
        lambda: table(columns, [[*(row[n] for n in columns[:-1]), _because(row)] for row in rows]),
        as_json=as_json,
    )


@member.command()
@click.argument("survivor", type=int, required=False)
@click.argument("absorbed", type=int, required=False)
@click.option("--undo", type=int, metavar="MERGE", help="Part the two of this merge again.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@client_option
@as_json
def merge(
    survivor: int | None,
    absorbed: int | None,
    undo: int | None,
    yes: bool,
    client_id: int | None,
    as_json: bool,
) -> None:
    """Make one person of two: SURVIVOR takes everything of ABSORBED. It can be undone.

    \b
    echelonx member merge 12 40
    echelonx member merge --undo 3
    """
    if (undo is None) == (survivor is None or absorbed is None):
        raise InvalidError("give two ids, or --undo with a merge's id", field="SURVIVOR")
    if undo is None and not yes:
        click.confirm(f"Let member {survivor} take everything of {absorbed}?", abort=True, err=True)
    with opened() as services, write(services.sessions) as session:
        client = chosen(session, client_id)
        if undo is not None:
            done = undo_merge(
                session, services.clock, client_id=client.id, merge_id=undo, actor=ACTOR
            )
        else:
            done = merge_members(
                session,
                services.clock,
                client_id=client.id,
                survivor_id=survivor or 0,
                absorbed_id=absorbed or 0,
                actor=ACTOR,
            )
        value = {
            "merge": done.id,
            "survivor": done.survivor_id,
            "absorbed": done.absorbed_id,
            "undone_at": done.undone_at,
        }
    answer(value, facts(value), as_json=as_json)


def _found(session: Session, client: Client, who: str) -> list[Member]:
    if _is_id(who):
        return [member_by_id(session, client.id, int(who))]
    return members_called(session, client, who)


def _only_one(session: Session, client: Client, who: str) -> int:
    """Return the id of the one who is meant: what is kept of two is no one file."""
    if _is_id(who):
        return int(who)  # also of one that was deleted or merged: they are kept, too
    found = members_called(session, client, who)
    if len(found) > 1:
        ids = ", ".join(str(one.id) for one in found)
        raise InvalidError(
            f"{len(found)} members have this address", field="WHO", remedy=f"name one of {ids}"
        )
    return found[0].id


def _is_id(who: str) -> bool:
    return who.isascii() and who.isdigit() and len(who) < 19


def _because(row: dict[str, Any]) -> str:
    reasons = row["reasons"]
    parts = [f"{one['reason']} {float(one['points']):+g}" for one in reasons.get("top", ())]
    return ", ".join(parts) or str(reasons.get("missing", "-"))


def _shown(session: Session, one: Member) -> dict[str, Any]:
    names = ("id", "member_id", "first_name", "last_name", "email", "phone", "tier", "status")
    near: Around = around(session, one.client_id, [one.id])[one.id]
    hashes = [address.hash for address in near.addresses]
    forbidden = scopes(session, client_id=one.client_id, address_hashes=hashes)
    addresses = [
        f"{a.channel} {a.value} {a.state.value}"
        + (", primary" if a.is_primary else "")
        + (f", suppressed ({forbidden[a.channel, a.hash]})" if (a.channel, a.hash) in forbidden
           else "")
        for a in near.addresses
    ]  # fmt: skip
    others = identities(session, client_id=one.client_id, member_id=one.id)
    return {name: getattr(one, name) for name in names} | {
        "tags": list(near.tags),
        "addresses": addresses,
        "consents": [f"{c.channel} {c.topic} {c.state.value}" for c in near.consents],
        "external_ids": [
            f"{name.kind.removeprefix(EXTERNAL)} {name.value}"
            for name in others
            if name.kind.startswith(EXTERNAL)
        ],
        "waiting": [
            f"{c.channel.value} {c.id} from {c.not_before:%Y-%m-%d %H:%M}"
            for c in upcoming(session, one.client_id, one.id)
        ],
        "attributes": one.attributes,
    }
