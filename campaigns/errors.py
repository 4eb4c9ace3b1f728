"""What can be wrong with a request about campaigns and templates."""

from collections.abc import Sequence
from dataclasses import dataclass

from channels.channel import Channel
from core.errors import ConflictError, InvalidError, NotFoundError


class CampaignNotFoundError(NotFoundError):
    """There is no such campaign at this client."""

    code = "campaign_not_found"
    usual = "list the campaigns, and use an id from there"


class RunNotFoundError(NotFoundError):
    """There is no such run at this client."""

    code = "run_not_found"
    usual = "list the campaign's runs, and use an id from there"


class TemplateNotFoundError(NotFoundError):
    """There is no such template at this client."""

    code = "template_not_found"
    usual = "list the templates, and use an id from there"


class TemplateInUseError(ConflictError):
    """The template is used elsewhere."""

    code = "template_in_use"


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


class BlockedError(ConflictError):
    """What was asked for cannot be done as it is, for each of these reasons."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__(
            "; ".join(finding.message for finding in findings),
            field=findings[0].field,
            remedy="; ".join(finding.remedy for finding in findings),
        )
        self.findings = tuple(findings)


class LaunchBlockedError(BlockedError):
    """The campaign cannot be launched as it is."""

    code = "launch_blocked"


class JourneyNotFoundError(NotFoundError):
    """There is no such journey at this client."""

    code = "journey_not_found"
    usual = "list the journeys and their versions, and use what is there"


class RecipeNotFoundError(NotFoundError):
    """There is no recipe of this name."""

    code = "recipe_not_found"
    usual = "list the recipes, and use a name from there"


class PromptNotFoundError(NotFoundError):
    """There is no prompt of this code."""

    code = "prompt_not_found"
    usual = "list the prompts, and use a code from there"


class JourneyStateError(ConflictError):
    """The journey's state does not allow that."""

    code = "journey_state"


class JourneyChangedError(ConflictError):
    """Somebody else changed the journey's draft in the meantime."""

    status = 412
    code = "journey_changed"


class PublishBlockedError(BlockedError):
    """The journey cannot be published as it is."""

    code = "publish_blocked"


class EnrolmentNotFoundError(NotFoundError):
    """Nobody of this journey has that enrolment."""

    code = "enrolment_not_found"
    usual = "list the journey's enrolments, and use an id from there"


class EnrolmentEndedError(ConflictError):
    """Who has ended in a journey cannot be moved in it any more."""

    code = "enrolment_ended"


class MoveBlockedError(BlockedError):
    """People stand at steps that the other version does not have."""

    code = "move_blocked"
