"""`unknown`: messages nobody can tell about: what there is, asking the provider, deciding."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import click
from sqlalchemy.orm import Session

from accounts.audit import record
from campaigns import again
from communications.account import ProviderAccount, accounts
from communications.communication import Communication, Reason
from communications.poison import Verdict, held_count, held_rows
from communications.reconcile import Checked
from communications.unknown import (
    Decision,
    UnknownGroup,
    Which,
    unknown_count,
    unknown_groups,
    unknown_rows,
)
from core.address import mask
from core.clock import Clock
from core.db import read, write
from echelonx.asking import MOST, reconciler
from echelonx.commands.output import Group, answer, as_json, note, table
from echelonx.commands.workspace import chosen, client_option, opened

CLI = "cli"
WHY = {
    Reason.NO_ANSWER: "no answer",
    Reason.WORKER_STOPPED: "worker stopped",
    Reason.RESTORED: "database restored",
}
DECISIONS = {"sent": Decision.SENT, "not-sent": Decision.NOT_SENT, "resend": Decision.RESEND}
MEANING = {
    Decision.SENT: "{n} are called sent: right if you saw them at the provider",
    Decision.NOT_SENT: "{n} are called failed and not sent again; some may have arrived",
    Decision.RESEND: "{n} people may get it twice",
}
UNKNOWN_REASONS = click.Choice([reason.value for reason in WHY])

Command = Callable[..., Any]


def filters(command: Command) -> Command:
    """Add the options that say which messages are meant."""
    options = (
        click.option("--id", "ids", type=int, multiple=True, help="One message; may be repeated."),
        click.option("--run", "run_id", type=int),
        click.option("--account", "provider_account_id", type=int, help="A provider account."),
        click.option("--reason", type=UNKNOWN_REASONS),
        click.option(
            "--older-than", "older_than_seconds", type=click.IntRange(0), metavar="SECONDS"
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.group(cls=Group)
def unknown() -> None:
    """Messages nobody can tell were sent or not. They are never sent again unasked."""


@unknown.command("list")
@click.option("--rows", "with_rows", is_flag=True, help="Show the messages, addresses masked.")
@click.option("-n", "limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@filters
@client_option
@as_json
def list_(with_rows: bool, limit: int, client_id: int | None, as_json: bool, **which: Any) -> None:
    """Say how many there are, where and why.

    \b
    echelonx unknown list
    echelonx unknown list --rows --run 12
    """
    with opened() as services, read(services.sessions) as session:
        client = chosen(session, client_id)
        groups = unknown_groups(session, client.id)
        names = {one.id: one for one in accounts(session, client.id)}
        value: dict[str, Any] = {"groups": [_group(group, names) for group in groups]}
        text = _summary(groups, names)
        if with_rows:
            found = unknown_rows(session, services.clock, client.id, _which(which), limit=limit)
            value["rows"] = [line(row) for row in found]
            text += f"\n\n{_lines(value['rows'])}"
    answer(value, text, as_json=as_json)


@unknown.command()
@filters
@client_option
@as_json
def check(client_id: int | None, as_json: bool, **which: Any) -> None:
    """Ask the providers now, and call sent what they have.

    What they do not have stays unknown: it may still be on its way.

    \b
    echelonx unknown check
    echelonx unknown check --run 12
    """
    with opened() as services:
        with read(services.sessions) as session:
            client = chosen(session, client_id).id
        asks, since, total = reconciler(services), services.clock.now(), Checked()
        while True:
            done = asks.check(client, _which(which), limit=MOST, since=since)
            total += Checked(done.found, done.not_found, done.cannot_say)
            if done.rows < MOST or not done.found + done.not_found:
                break
        total += Checked(left=done.left)
        with write(services.sessions) as session:
            _note_check(session, services.clock, client, total)
    text = (
        f"{total.found:,} found and called sent, {total.not_found:,} not found, "
        f"{total.cannot_say:,} the provider cannot say"
    )
    text += f", {total.left:,} not asked yet" if total.left else ""
    answer(asdict(total), text, as_json=as_json)


@unknown.command()
@click.option("--as", "decision", type=click.Choice(list(DECISIONS)), required=True)
@click.option("--all", "everything", is_flag=True, help="All there are.")
@click.option("--count", type=click.IntRange(1), help="How many you mean; without it, a rehearsal.")
@filters
@client_option
@as_json
def resolve(
    decision: str,
    everything: bool,
    count: int | None,
    client_id: int | None,
    as_json: bool,
    **which: Any,
) -> int:
    """Decide. Without --count it says what it would mean, and exits with 1.

    A receipt that comes later is believed all the same.

    \b
    echelonx unknown resolve --as sent --run 12
    echelonx unknown resolve --as resend --reason worker_stopped --count 14
    """
    meant, said = _which(which), DECISIONS[decision]
    if everything == (meant != Which()):
        raise click.UsageError("say which messages are meant: filters, or --all")
    if count is None:
        with opened() as services, read(services.sessions) as session:
            n = unknown_count(session, services.clock, chosen(session, client_id).id, meant)
        return _rehearsed(n, MEANING[said].format(n=f"{n:,}"), as_json=as_json)
    with opened() as services:
        with write(services.sessions) as session:
            done = again.resolve(
                session,
                services.clock,
                client_id=chosen(session, client_id).id,
                which=meant,
                decision=said,
                expected=count,
                actor=CLI,
            )
        if said is Decision.RESEND:
            services.bell.ring()
    answer({"rows": done.rows, "decision": said.value}, f"{done.rows:,} done", as_json=as_json)
    return 0


@unknown.command()
@click.option("-n", "limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@client_option
@as_json
def held(limit: int, client_id: int | None, as_json: bool) -> None:
    """Show messages that wait because three workers died with each of them."""
    with opened() as services, read(services.sessions) as session:
        client = chosen(session, client_id)
        count = held_count(session, client.id)
        rows = [line(row) for row in held_rows(session, client.id, limit=limit)]
    answer({"count": count, "rows": rows}, lambda: _lines(rows), as_json=as_json)


@unknown.command()
@click.option("--id", "ids", type=int, multiple=True, help="One message; may be repeated.")
@click.option("--all", "everything", is_flag=True, help="All that are held.")
@click.option("--skip", is_flag=True, help="Do not send them: they are skipped as cancelled.")
@click.option("--count", type=click.IntRange(1), help="How many you mean; without it, a rehearsal.")
@client_option
@as_json
def release(
    ids: Sequence[int],
    everything: bool,
    skip: bool,
    count: int | None,
    client_id: int | None,
    as_json: bool,
) -> int:
    """Let held messages be tried again, or skip them.

    \b
    echelonx unknown held
    echelonx unknown release --id 1042 --count 1
    """
    if everything == bool(ids):
        raise click.UsageError("say which messages are meant: --id, or --all")
    verdict = Verdict.SKIP if skip else Verdict.RELEASE
    wanted = list(ids) or None
    if count is None:
        with opened() as services, read(services.sessions) as session:
            n = held_count(session, chosen(session, client_id).id, wanted)
        what = "are not sent" if skip else "are tried again, one at a time"
        return _rehearsed(n, f"{n:,} {what}", as_json=as_json)
    with opened() as services:
        with write(services.sessions) as session:
            done = again.decide(
                session,
                services.clock,
                client_id=chosen(session, client_id).id,
                ids=wanted,
                verdict=verdict,
                expected=count,
                actor=CLI,
            )
        services.bell.ring()
    answer({"rows": done.rows, "decision": verdict.value}, f"{done.rows:,} done", as_json=as_json)
    return 0


def line(row: Communication) -> dict[str, Any]:
    """Return what an operator needs of one message; its address is masked."""
    return {
        "id": row.id,
        "since": row.updated_at,
        "account": row.provider_account_id,
        "run": row.run_id,
        "why": row.reason.value if row.reason else row.held,
        "to": mask(row.channel.address_kind, row.to_address) if row.to_address else None,
        "detail": row.error_message,
        "resends": row.resends,
        "asked": row.checked_at,
    }


def _which(given: dict[str, Any]) -> Which:
    reason = given.pop("reason", None)
    ids = tuple(given.pop("ids", ())) or None
    return Which(ids=ids, reason=Reason(reason) if reason else None, **given)


def _note_check(session: Session, clock: Clock, client_id: int, done: Checked) -> None:
    target = f"messages:{done.rows}"
    action = "unknown.check"
    record(session, clock, client_id=client_id, actor=CLI, action=action, target=target)


def _rehearsed(count: int, meaning: str, *, as_json: bool) -> int:
    answer({"rows": count, "meaning": meaning, "done": False}, meaning, as_json=as_json)
    note(f"to do it: add --count {count}" if count else "there is nothing to do")
    return 1


def _group(group: UnknownGroup, names: dict[int, ProviderAccount]) -> dict[str, Any]:
    account = names.get(group.provider_account_id or 0)
    return {
        "rows": group.rows,
        "account": group.provider_account_id,
        "provider": account.adapter if account else None,
        "run": group.run_id,
        "reason": group.reason.value if group.reason else None,
        "oldest": group.oldest,
        "newest": group.newest,
    }


def _summary(groups: Sequence[UnknownGroup], names: dict[int, ProviderAccount]) -> str:
    """Return one sentence, such as "14 unknown: 8 worker stopped, 6 no answer", and the groups."""
    if not groups:
        return "nothing is unknown"
    total = sum(group.rows for group in groups)
    causes: dict[str, int] = {}
    for group in groups:
        account = names.get(group.provider_account_id or 0)
        where = f" from {account.adapter}" if account and group.reason is Reason.NO_ANSWER else ""
        why = _why(group) + where
        causes[why] = causes.get(why, 0) + group.rows
    told = ", ".join(f"{rows:,} {why}" for why, rows in causes.items())
    shown = table(
        ("messages", "provider", "run", "why", "oldest", "newest"),
        [
            (
                group.rows,
                _account(names.get(group.provider_account_id or 0)),
                str(group.run_id) if group.run_id else None,
                _why(group),
                group.oldest,
                group.newest,
            )
            for group in groups
        ],
    )
    return f"{total:,} unknown: {told}\n\n{shown}"


def _account(account: ProviderAccount | None) -> str | None:
    return f"{account.id} {account.name}" if account else None


def _why(group: UnknownGroup) -> str:
    return WHY.get(group.reason, group.reason.value) if group.reason else "no reason kept"


def _lines(rows: Sequence[dict[str, Any]]) -> str:
    if not rows:
        return "(none)"
    return table(list(rows[0]), [list(row.values()) for row in rows])
