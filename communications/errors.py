"""What can be wrong with a request about communications."""

from core.errors import ConflictError, InvalidError, NotFoundError


class CommunicationNotFoundError(NotFoundError):
    """There is no such communication at this client."""

    code = "communication_not_found"


class ExportNotFoundError(NotFoundError):
    """There is no such export at this client, or its file is no longer kept."""

    code = "export_not_found"


class AccountNotFoundError(NotFoundError):
    """There is no such provider account at this client."""

    code = "provider_not_found"


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


class NothingExpectedError(InvalidError):
    """A decision needs messages to decide about."""

    code = "nothing_expected"


class CancelledRunError(ConflictError):
    """Messages of a cancelled campaign are not sent again."""

    code = "cancelled_run"
