"""`campaign`: check, launch, watch and stop campaigns."""

import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any

import click

from campaigns import control
from campaigns.campaign import Campaign
from campaigns.experiment import Experiment
from campaigns.experiment import experiment as compare
from campaigns.launch import latest_run
from campaigns.launch import launch as launch_campaign
from campaigns.preflight import Preflight
from campaigns.preflight import check as examine
from campaigns.queries import campaign as find
from campaigns.queries import campaigns_page
from campaigns.run import Run, RunStatus
from campaigns.statistics import run_statistics
from campaigns.trial import Goal
from core.db import read, write
from echelonx.commands.output import Group, answer, as_json, facts, note, table
from echelonx.commands.workspace import chosen, client_option, opened
from echelonx.wiring import Services

REFUSED = 3
GOING = (RunStatus.RUNNING.value, RunStatus.PAUSED.value)
WATCH_SECONDS = 1.0
PARTS = ("queued", "sent", "skipped", "failed", "unknown")
OF_SENT = ("delivered", "bounced", "pending")
NARROW = ("audience", *PARTS, *OF_SENT, "clicked")
ADDS_UP = f"audience = {' + '.join(PARTS)}\nsent = {' + '.join(OF_SENT)}"
COUNTED = ("assigned", "messages", "goals", "unsubscribed", "complained")
Deed = Callable[..., Campaign]

campaign_id = click.argument("campaign_id", type=int)


@click.group(cls=Group)
def campaign() -> None:
    """Check, launch, watch and stop campaigns."""


@campaign.command("list")
@click.option("-n", "limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@client_option
@as_json
def list_(limit: int, client_id: int | None, as_json: bool) -> None:
    """List campaigns, newest first.

    \b
    echelonx campaign list
    """
    with opened() as services, read(services.sessions) as session:
        client = chosen(session, client_id)
        rows = [_line(one) for one in campaigns_page(session, client.id, limit=limit)]
    shown = table(list(rows[0]), [list(row.values()) for row in rows]) if rows else "(none)"
    answer({"campaigns": rows}, shown, as_json=as_json)


@campaign.command()
@campaign_id
@client_option
@as_json
def show(campaign_id: int, client_id: int | None, as_json: bool) -> None:
    """Show a campaign and what became of its last run.

    \b
    echelonx campaign show 3
    """
    with opened() as services:
        values = _story(services, client_id, campaign_id)
    answer(values, lambda: _told(values), as_json=as_json)


@campaign.command()
@campaign_id
@client_option
@as_json
def check(campaign_id: int, client_id: int | None, as_json: bool) -> int:
    """Run the pre-flight: what blocks a launch, and whom it would reach. Changes nothing.

    Exit code 3 says that something blocks it.

    \b
    echelonx campaign check 3
    """
    with opened() as services, read(services.sessions) as session:
        client = chosen(session, client_id)
        found = examine(session, services.clock, client_id=client.id, campaign_id=campaign_id)
    answer(_findings(found), lambda: _findings_told(found), as_json=as_json)
    return REFUSED if found.blockers else 0


@campaign.command()
@campaign_id
@click.option("--goal", type=click.Choice([one.value for one in Goal]), default=Goal.CLICK.value)
@client_option
@as_json
def experiment(campaign_id: int, goal: str, client_id: int | None, as_json: bool) -> None:
    """Hold the variants of the newest run beside each other, and say what to do.

    \b
    echelonx campaign experiment 3
    echelonx campaign experiment 3 --goal order
    """
    with opened() as services, read(services.sessions) as session:
        client = chosen(session, client_id)
        found = compare(session, services.clock, client.id, campaign_id, Goal(goal))
    answer(asdict(found), lambda: _trials_told(found), as_json=as_json)


@campaign.command()
@campaign_id
@click.option("--watch", "watching", is_flag=True, help="Show progress until it is done.")
@client_option
@as_json
def launch(campaign_id: int, watching: bool, client_id: int | None, as_json: bool) -> int:
    """Launch a campaign; a scheduled one then waits for its time. Twice is once.

    \b
    echelonx campaign launch 3
    echelonx campaign launch 3 --watch
    """
    with opened() as services:
        with write(services.sessions) as session:
            client = chosen(session, client_id)
            run = launch_campaign(
                session, services.clock, client_id=client.id, campaign_id=campaign_id
            )
            values = {
                "campaign": campaign_id,
                "run": run.id if run else None,
                "status": run.status.value if run else "scheduled",
            }
        services.bell.ring()
        if watching and run is not None:
            return _watched(services, client_id, campaign_id, as_json=as_json)
    text = f"run {values['run']} is {values['status']}" if values["run"] else "scheduled"
    answer(values, text, as_json=as_json)
    return 0


@campaign.command()
@campaign_id
@client_option
@as_json
def pause(campaign_id: int, client_id: int | None, as_json: bool) -> None:
    """Stop sending until `resume`; what is on its way ends."""
    _control(partial(control.pause, actor="cli"), campaign_id, client_id, as_json=as_json)


@campaign.command()
@campaign_id
@client_option
@as_json
def resume(campaign_id: int, client_id: int | None, as_json: bool) -> None:
    """Go on where it was paused."""
    _control(control.resume, campaign_id, client_id, as_json=as_json)


@campaign.command()
@campaign_id
@click.option("--yes", is_flag=True, help="Do not ask.")
@client_option
@as_json
def cancel(campaign_id: int, yes: bool, client_id: int | None, as_json: bool) -> None:
    """Skip whatever is not sent yet, for good."""
    if not yes:
        click.confirm(
            f"Skip every message of campaign {campaign_id} that was not sent?", abort=True, err=True
        )
    _control(control.cancel, campaign_id, client_id, as_json=as_json)


@campaign.command()
@campaign_id
@client_option
@as_json
def watch(campaign_id: int, client_id: int | None, as_json: bool) -> int:
    """Show the last run's progress until it is done; Ctrl+C only ends the watching.

    \b
    echelonx campaign watch 3
    """
    with opened() as services:
        return _watched(services, client_id, campaign_id, as_json=as_json)


def _control(deed: Deed, campaign_id: int, client_id: int | None, *, as_json: bool) -> None:
    with opened() as services:
        with write(services.sessions) as session:
            client = chosen(session, client_id)
            found = deed(session, services.clock, client_id=client.id, campaign_id=campaign_id)
            values = _line(found)
        services.bell.ring()
    answer(values, facts(values), as_json=as_json)


def _watched(services: Services, client_id: int | None, campaign_id: int, *, as_json: bool) -> int:
    before: dict[str, Any] = {}
    while True:
        values = _story(services, client_id, campaign_id)
        if values["channels"] != before:
            before = values["channels"]
            note(_progress(before, values["run"]["audience"] if values["run"] else 0))
        if values["run"] is None or values["run"]["status"] not in GOING:
            answer(values, _told(values), as_json=as_json)
            return 0
        time.sleep(WATCH_SECONDS)


def _progress(channels: dict[str, Any], audience: int) -> str:
    """Tell how many of the run's members are done with; those without a row yet are not."""
    parts = (
        f"{name} {numbers['audience'] - numbers['queued']:,}/{max(audience, numbers['audience']):,}"
        for name, numbers in channels.items()
    )
    return "  ".join(parts) or "nothing yet"


def _story(services: Services, client_id: int | None, campaign_id: int) -> dict[str, Any]:
    with read(services.sessions) as session:
        client = chosen(session, client_id)
        found = find(session, client.id, campaign_id)
        run = latest_run(session, campaign_id)
        channels = run_statistics(session, client.id, run.id) if run else {}
    return _line(found) | {
        "why": found.status_reason,
        "run": _run(run) if run else None,
        "channels": {channel.value: numbers for channel, numbers in channels.items()},
    }


def _line(one: Campaign) -> dict[str, Any]:
    return {
        "id": one.id,
        "name": one.name,
        "type": one.type.value,
        "status": one.status.value,
        "scheduled_at": one.scheduled_at,
        "launched_at": one.launched_at,
    }


def _run(run: Run) -> dict[str, Any]:
    return {
        "id": run.id,
        "status": run.status.value,
        "audience": run.audience_size,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
    }


def _told(values: dict[str, Any]) -> str:
    head = {name: values[name] for name in values if name not in ("channels", "run")}
    run = {f"run {name}": value for name, value in (values["run"] or {}).items()}
    rows = [[name, *(n[c] for c in NARROW)] for name, n in values["channels"].items()]
    numbers = f"{table(('channel', *NARROW), rows)}\n\n{ADDS_UP}" if rows else ""
    return f"{facts(head | run)}\n\n{numbers}".rstrip()


def _trials_told(found: Experiment) -> str:
    parts = []
    for trial in found.trials:
        rows = [
            [
                arm.name,
                *(getattr(arm.counts, name) for name in COUNTED),
                f"{arm.rate or 0:.2%} ({arm.low:.2%} to {arm.high:.2%})",
            ]
            for arm in trial.arms
        ]
        shown = table((trial.channel.value, *COUNTED, "rate"), rows)
        remedy = f"\n    -> {trial.remedy}" if trial.remedy else ""
        parts.append(f"{shown}\n\n{trial.says}{remedy}")
    return "\n\n".join(parts) or "nothing was sent yet"


def _findings(found: Preflight) -> dict[str, Any]:
    def listed(findings: Any) -> list[dict[str, Any]]:
        return [
            {"code": f.code, "message": f.message, "remedy": f.remedy, "field": f.field}
            for f in findings
        ]

    return {
        "blockers": listed(found.blockers),
        "warnings": listed(found.warnings),
        "audience": found.audience,
        "reach": {channel.value: count for channel, count in found.reach.items()},
        "skipped": {channel.value: reasons for channel, reasons in found.skipped.items()},
    }


def _findings_told(found: Preflight) -> str:
    lines = [f"audience {found.audience:,}"]
    lines += [f"{channel.value} reaches {count:,}" for channel, count in found.reach.items()]
    for word, findings in (("blocked", found.blockers), ("warning", found.warnings)):
        for one in findings:
            lines += [f"{word}: {one.message}", f"    -> {one.remedy}"]
    return "\n".join(lines)
