"""Every table of the product, imported so that the metadata is complete."""

from importlib import import_module

from core.db import Base

MODULES = (
    "accounts.audit",
    "accounts.audit_chain",
    "accounts.audit_guard",
    "accounts.client",
    "accounts.endpoint",
    "accounts.idempotency",
    "accounts.key",
    "accounts.outbox",
    "accounts.user",
    "campaigns.campaign",
    "campaigns.elevate.snapshot",
    "campaigns.elevate.star",
    "campaigns.journeys.enrolment",
    "campaigns.journeys.journey",
    "campaigns.run",
    "campaigns.template",
    "communications.account",
    "communications.attempt",
    "communications.communication",
    "communications.event",
    "communications.export",
    "communications.link",
    "members.address",
    "members.bulk",
    "members.change",
    "members.consent",
    "members.consent_guard",
    "members.duplicates",
    "members.erasure",
    "members.event",
    "members.identity",
    "members.import_job",
    "members.member",
    "members.membership",
    "members.merge",
    "members.note",
    "members.order",
    "members.referral",
    "members.score",
    "members.segment",
    "members.signal",
    "members.suppression",
    "members.tier_change",
    "members.tier_rule",
    "members.touch",
    "scheduling.instance",
    "scheduling.occurrence",
    "scheduling.worker",
    "webhooks.click",
    "webhooks.collected",
    "webhooks.dropped",
    "webhooks.inbox",
    "webhooks.retention",
)

for name in MODULES:
    import_module(name)

METADATA = Base.metadata
