"""What can be wrong with a request about communications."""

from core.errors import ConflictError, InvalidError, NotFoundError


class CommunicationNotFoundError(NotFoundError):
    """There is no such communication at this client."""

    code = "communication_not_found"


class AccountNotFoundError(NotFoundError):
    """There is no such provider account at this client."""

    code = "provider_not_found"


class AccountNameTakenError(ConflictError):
    """Another provider account of this client has that name."""

    code = "provider_name_taken"


class AccountConfigError(InvalidError):
    """The provider account's settings cannot be used."""

    code = "provider_config"
