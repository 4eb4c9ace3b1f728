"""Every table of the product, imported so that the metadata is complete."""

import accounts.audit
import accounts.client
import accounts.key
import accounts.user
import campaigns.campaign
import campaigns.run
import campaigns.template
import communications.account
import communications.attempt
import communications.communication
import communications.event
import communications.link
import members.address
import members.consent
import members.import_job
import members.member
import members.segment
import members.suppression
import scheduling.occurrence
import scheduling.worker
import webhooks.inbox  # noqa: F401  (imported for its tables)
from core.db import Base

METADATA = Base.metadata
