"""What can be wrong with a request about campaigns and templates."""

from collections.abc import Sequence
from dataclasses import dataclass

from channels.channel import Channel
from core.errors import ConflictError, InvalidError, NotFoundError


class CampaignNotFoundError(NotFoundError):
    """There is no such campaign at this client."""

    code = "campaign_not_found"


class RunNotFoundError(NotFoundError):
    """There is no such run at this client."""

    code = "run_not_found"


class TemplateNotFoundError(NotFoundError):
    """There is no such template at this client."""

    code = "template_not_found"


class NameTakenError(ConflictError):
    """Another one of this client has that name."""

    code = "name_taken"


class CampaignInvalidError(InvalidError):
    """The campaign cannot be saved as it is."""

    code = "invalid_campaign"


class CampaignChangedError(ConflictError):
    """Somebody else changed the campaign in the meantime."""

    status = 412
    code = "campaign_changed"


class CampaignStateError(ConflictError):
    """The campaign's state does not allow that."""

    code = "campaign_state"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing the pre-flight found."""

    code: str
    """Stable: `empty_audience`, `no_template`, `no_provider`, …"""
    message: str
    remedy: str
    field: str | None = None
    channel: Channel | None = None


class LaunchBlockedError(ConflictError):
    """The campaign cannot be launched as it is."""

    code = "launch_blocked"

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__(
            "; ".join(finding.message for finding in findings),
            field=findings[0].field,
            remedy="; ".join(finding.remedy for finding in findings),
        )
        self.findings = tuple(findings)
