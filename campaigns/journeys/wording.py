"""Wording: what a version's sends say and through which accounts, frozen when it is published."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from campaigns.errors import Finding
from campaigns.journeys.ast import Journey
from campaigns.journeys.naming import templates_in
from campaigns.template import Template, latest_version
from channels.channel import Channel
from communications.account import active_account


@dataclass(frozen=True, slots=True)
class Wording:
    """One template's frozen version and what it shows of a member."""

    template_version_id: int
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wordings:
    """What all sends of one version say."""

    accounts: dict[Channel, int]
    """Provider account by channel."""
    templates: dict[tuple[Channel, str], Wording]

    def to_json(self) -> dict[str, Any]:
        """Return it as `journey_versions.plan` stores it."""
        stored: dict[str, Any] = {
            channel.value: {"account": account, "templates": {}}
            for channel, account in self.accounts.items()
        }
        for (channel, name), one in self.templates.items():
            stored[channel.value]["templates"][name] = {
                "version": one.template_version_id,
                "fields": list(one.fields),
            }
        return stored

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "Wordings":
        """Read it back."""
        accounts = {Channel(channel): lane["account"] for channel, lane in stored.items()}
        templates = {
            (Channel(channel), name): Wording(one["version"], tuple(one["fields"]))
            for channel, lane in stored.items()
            for name, one in lane["templates"].items()
        }
        return cls(accounts, templates)


def wordings(session: Session, client_id: int, journey: Journey) -> tuple[Wordings, list[Finding]]:
    """Return what a journey's sends would say now, and what is missing for them."""
    wanted = dict.fromkeys(templates_in(journey))
    accounts: dict[Channel, int] = {}
    templates: dict[tuple[Channel, str], Wording] = {}
    missing: list[Finding] = []
    for channel in dict.fromkeys(channel for channel, _ in wanted):
        account = active_account(session, client_id, channel)
        if account is None:
            missing.append(_no_account(channel))
        else:
            accounts[channel] = account.id
    for channel, name in wanted:
        template = _named(session, client_id, channel, name)
        if template is None:
            missing.append(_no_template(channel, name))
            continue
        version = latest_version(session, client_id, template.id)
        templates[channel, name] = Wording(version.id, tuple(version.fields))
    return Wordings(accounts, templates), missing


def _named(session: Session, client_id: int, channel: Channel, name: str) -> Template | None:
    return session.scalar(
        select(Template).where(
            Template.client_id == client_id,
            Template.channel == channel,
            Template.name == name,
            Template.deleted_at.is_(None),
        )
    )


def _no_account(channel: Channel) -> Finding:
    return Finding(
        "no_provider",
        f"no active provider account carries {channel}",
        f"add a provider account for {channel}, or resume the paused one",
        "providers",
        channel,
    )


def _no_template(channel: Channel, name: str) -> Finding:
    return Finding(
        "no_template",
        f"there is no {channel} template “{name}”",
        f"make a template of this name for {channel}, or name another",
        "steps",
        channel,
    )
