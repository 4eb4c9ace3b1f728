"""What can be wrong with a request about communications."""

from collections.abc import Sequence

from core.errors import ConflictError, GoneError, InvalidError, NotFoundError


class CommunicationNotFoundError(NotFoundError):
    """There is no such communication at this client."""

    code = "communication_not_found"
    usual = "search the log, and use an id from there"


class ExportNotFoundError(NotFoundError):
    """There is no such export at this client."""

    code = "export_not_found"
    usual = "list the exports, and use an id from there, or start another one"


class ExportGoneError(GoneError):
    """The file of an export, or the link to it, is no longer kept."""

    code = "export_gone"


class ExportStateError(ConflictError):
    """The export is not in a state in which this can be done."""

    code = "export_state"


class JobNotFoundError(NotFoundError):
    """There is no such job at this client, or none that the caller may see."""

    code = "job_not_found"
    usual = "list the jobs, and use an id from there"


class AccountNotFoundError(NotFoundError):
    """There is no such provider account at this client."""

    code = "provider_not_found"
    usual = "list the providers, and use an id from there"


class AccountNameTakenError(ConflictError):
    """Another provider account of this client has that name."""

    code = "provider_name_taken"


class AccountConfigError(InvalidError):
    """The provider account's settings cannot be used."""

    code = "provider_config"


class UnexpectedCountError(ConflictError):
    """Another number of messages is meant than was expected."""

    code = "unexpected_count"

    def __init__(self, found: int, expected: int) -> None:
        remedy = f"look again, and give {found} if all of them are meant"
        super().__init__(
            f"{found:,} messages match, not {expected:,}",
            field="count",
            remedy=remedy if found else "look again: what you meant was settled meanwhile",
        )


class PermanentFailureError(ConflictError):
    """Sending these messages again would fail again."""

    code = "permanent_failure"


class ContentRemovedError(ConflictError):
    """Messages whose content was removed cannot be sent again."""

    code = "content_removed"

    def __init__(self, ids: Sequence[int], remedy: str) -> None:
        """Say how many there are; `ids` are theirs, in order."""
        shown = ", ".join(map(str, ids[:5])) + (", …" if len(ids) > 5 else "")
        super().__init__(
            f"the content of {len(ids):,} of these messages was removed ({shown})",
            field="filter",
            remedy=remedy,
        )


class NothingExpectedError(InvalidError):
    """A decision needs messages to decide about."""

    code = "nothing_expected"


class CancelledRunError(ConflictError):
    """Messages of a cancelled campaign are not sent again."""

    code = "cancelled_run"
