"""Every table of the product, imported so that the metadata is complete."""

from importlib import import_module

from core.db import Base

MODULES = (
    "accounts.audit",
    "accounts.client",
    "accounts.key",
    "accounts.user",
    "campaigns.campaign",
    "campaigns.run",
    "campaigns.template",
    "communications.account",
    "communications.attempt",
    "communications.communication",
    "communications.event",
    "communications.link",
    "members.address",
    "members.consent",
    "members.import_job",
    "members.member",
    "members.segment",
    "members.suppression",
    "scheduling.occurrence",
    "scheduling.worker",
    "webhooks.click",
    "webhooks.inbox",
)

for name in MODULES:
    import_module(name)

METADATA = Base.metadata
