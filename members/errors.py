"""What can be wrong with a request about members."""

from core.errors import ConflictError, InvalidError, NotFoundError


class MemberNotFoundError(NotFoundError):
    """There is no such member at this client."""

    code = "member_not_found"


class MemberKeyTakenError(ConflictError):
    """Another member of this client has that member_id."""

    code = "member_id_taken"


class MemberChangedError(ConflictError):
    """Somebody else changed the member in between."""

    status = 412
    code = "member_changed"


class MemberInvalidError(InvalidError):
    """The member's details cannot be accepted as they are."""

    code = "member_invalid"


class SegmentNotFoundError(NotFoundError):
    """There is no such segment at this client."""

    code = "segment_not_found"


class SegmentNameTakenError(ConflictError):
    """Another segment of this client has that name."""

    code = "segment_name_taken"


class ImportNotFoundError(NotFoundError):
    """There is no such import at this client."""

    code = "import_not_found"


class ImportFileError(InvalidError):
    """The file cannot be read as people."""

    code = "import_file"
