"""Story: what the demo puts into the engine, each thing once however often the demo is run."""

from importlib.resources import files
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from accounts.client import Client, create_client
from accounts.key import issue_key
from campaigns.campaign import Campaign, create_campaign
from campaigns.launch import launch
from campaigns.run import Run
from campaigns.template import Template, create_template
from communications.account import ProviderAccount, account_config, accounts, add_account, seal
from core.db import read, write
from core.errors import ConflictError
from echelonx.demo.workspace import Workspace
from echelonx.wiring import Services
from members.import_job import ImportJob
from members.importing import ImportOptions, import_csv
from members.member import Member
from members.segment import Segment, create_segment

NAME = "Elevate (demo)"
PEOPLE = "people.csv"
SEGMENT = "Warm leads"
RULE = 'has tag "warm-lead" and engagement_score >= 30'
CAMPAIGN = "Gift guide"
ACCOUNTS = {
    "sendgrid": "SendGrid (simulated)",
    "smtp": "SMTP relay (simulated)",
    "twilio": "Twilio (simulated)",
    "fcm": "Firebase (simulated)",
}
SUBJECT = "{{ member.first_name | default: 'Hello' }}, your gift guide is here"
SMS = (
    "{{ member.first_name | default: 'Hi' }}, three gifts picked for you at Elevate: "
    "https://shop.example/g  Reply STOP to opt out"
)
PUSH_TITLE = "Your gift guide is here"
PUSH = "{{ member.first_name | default: 'Hi' }}, three ideas that still arrive in time."
VARIANTS = {"email": "sendgrid", "sms": "twilio", "push": "fcm"}


def client_of(services: Services, workspace: Workspace) -> int:
    """Return the demo's client, making it the first time.

    Raises ConflictError for a database that holds the demo of another directory.
    """
    with write(services.sessions) as session:
        found = session.scalar(select(Client).where(Client.name == NAME))
        if found is None:
            found = create_client(
                session,
                services.clock,
                name=NAME,
                country="US",
                timezone="Europe/Berlin",
                address="Elevate, 1 Demo Street, 10115 Berlin",
            )
        elif workspace.fresh:
            raise ConflictError(
                "this database holds the demo of another directory",
                remedy="give that directory with --dir, or an empty database",
            )
        client_id = found.id
    workspace.keep(client=client_id)
    return client_id


def key_of(services: Services, workspace: Workspace, client_id: int) -> str:
    """Return the demo's API key, kept in its directory, which nobody else may read."""
    path = workspace.directory / "api-key"
    if path.exists():
        return path.read_text().strip()
    with write(services.sessions) as session:
        _, text = issue_key(session, services.clock, client_id=client_id, name="demo")
        path.touch(mode=0o600)
        path.write_text(text + "\n")
    return text


def import_people(services: Services, workspace: Workspace, client_id: int) -> dict[str, int]:
    """Import the shipped file once; return its counts, the same ones ever after."""
    kept: dict[str, int] | None = workspace.state.get("import")
    if kept is not None:
        return kept
    job = import_csv(
        services.sessions,
        services.clock,
        services.hasher,
        client_id=client_id,
        path=Path(str(files("echelonx") / "demo" / PEOPLE)),
        filename=PEOPLE,
        options=ImportOptions(country="US"),
        rejects_path=workspace.rejects,
    )
    counts = _counts(services, client_id, job)
    workspace.keep(**{"import": counts})
    return counts


def _counts(services: Services, client_id: int, job: ImportJob) -> dict[str, int]:
    """Return what became of the rows, also where an earlier import was killed in the middle.

    Those whom that one created are unchanged to this one: they count as created all the same.
    """
    with read(services.sessions) as session:
        query = select(func.count()).select_from(Member).where(Member.client_id == client_id)
        created = session.scalar(query) or 0
    return {
        "rows": job.rows,
        "created": created,
        "updated": job.rows - job.rejected - created,
        "rejected": job.rejected,
    }


def make_accounts(
    services: Services, client_id: int, settings: dict[str, dict[str, Any]]
) -> dict[str, str]:
    """Make the provider accounts, or point them at this time's ports; return webhook addresses."""
    with write(services.sessions) as session:
        known = {account.adapter: account for account in accounts(session, client_id)}
        for adapter, name in ACCOUNTS.items():
            if adapter in known:
                _point(services, known[adapter], settings[adapter])
                continue
            known[adapter] = add_account(
                session,
                services.clock,
                services.vault,
                client_id=client_id,
                name=name,
                adapter=adapter,
                config=settings[adapter],
            )
        tokens = {adapter: account.token for adapter, account in known.items()}
    receipts = services.urls.receipts
    return {
        "sendgrid": receipts("sendgrid", tokens["sendgrid"]),
        "fcm": receipts("fcm", tokens["fcm"]),
        "twilio_inbound": receipts("twilio", tokens["twilio"]),
    }


def _point(services: Services, account: ProviderAccount, config: dict[str, Any]) -> None:
    if account_config(services.vault, account) != config:
        account.config = seal(services.vault, account.token, config)
        account.updated_at = services.clock.now()


def make_segment(services: Services, client_id: int) -> Segment:
    """Make the segment, or return the one there is."""
    with write(services.sessions) as session:
        query = select(Segment).where(Segment.client_id == client_id, Segment.name == SEGMENT)
        found = session.scalar(query)
        if found is not None:
            return found
        return create_segment(session, services.clock, client_id=client_id, name=SEGMENT, rule=RULE)


def launch_campaign(services: Services, client_id: int, segment: Segment) -> Run:
    """Make and launch the campaign; launched before, it returns the run there is."""
    with write(services.sessions) as session:
        campaign = _campaign(services, session, client_id, segment)
        run = launch(session, services.clock, client_id=client_id, campaign_id=campaign.id)
        if run is None:
            raise ConflictError(
                "the demo's campaign was rescheduled", remedy="echelonx demo --clean"
            )
    services.bell.ring()
    return run


def _campaign(services: Services, session: Session, client_id: int, segment: Segment) -> Campaign:
    query = select(Campaign).where(Campaign.client_id == client_id, Campaign.name == CAMPAIGN)
    found = session.scalar(query)
    if found is not None:
        return found
    templates = _templates(services, session, client_id)
    held = {account.adapter: account.id for account in accounts(session, client_id)}
    return create_campaign(
        session,
        services.clock,
        client_id=client_id,
        name=CAMPAIGN,
        type="mixed",
        target_audience={"segment_id": segment.id},
        variants=[
            {
                "channel": channel,
                "template_id": templates[channel].id,
                "provider_account_id": held[adapter],
            }
            for channel, adapter in VARIANTS.items()
        ],
        description="Three ideas for warm leads, by e-mail, SMS and push.",
    )


def _templates(services: Services, session: Session, client_id: int) -> dict[str, Template]:
    shipped = files("echelonx") / "demo"
    html = (shipped / "gift_guide.html").read_text(encoding="utf-8")
    text = (shipped / "gift_guide.txt").read_text(encoding="utf-8")
    contents: dict[str, dict[str, str]] = {
        "email": {"subject": SUBJECT, "html": html, "text": text},
        "sms": {"text": SMS},
        "push": {"subject": PUSH_TITLE, "text": PUSH},
    }
    return {
        channel: create_template(
            session,
            services.clock,
            client_id=client_id,
            name=f"{CAMPAIGN} ({channel})",
            channel=channel,
            **content,
        )
        for channel, content in contents.items()
    }
