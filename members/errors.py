"""What can be wrong with a request about members."""

from core.errors import ConflictError, InvalidError, NotFoundError


class MemberNotFoundError(NotFoundError):
    """There is no such member at this client."""

    code = "member_not_found"
    usual = "search for the member, and use the id found: it may be merged or erased"


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


class AddressNotFoundError(NotFoundError):
    """The member has no such address."""

    code = "address_not_found"
    usual = "look at the member: its addresses have their ids"


class AddressTakenError(ConflictError):
    """Another member has that address."""

    code = "address_taken"


class BulkEditError(ConflictError):
    """The bulk edit is not in a state in which this can be done."""

    code = "bulk_edit"


class BulkEditNotFoundError(NotFoundError):
    """There is no such bulk edit at this client."""

    code = "bulk_edit_not_found"
    usual = "list the bulk edits, and use an id from there"


class DuplicateNotFoundError(NotFoundError):
    """There is no such pair of members at this client."""

    code = "duplicate_not_found"
    usual = "list the duplicates anew: this pair may be decided by now"


class ErasureError(ConflictError):
    """The member cannot be erased now."""

    code = "erasure"


class MergeError(ConflictError):
    """These members cannot be merged or parted."""

    code = "merge"


class MergeNotFoundError(NotFoundError):
    """There is no such merge at this client."""

    code = "merge_not_found"
    usual = "list the merges, and use an id from there"


class NoteNotFoundError(NotFoundError):
    """There is no such note about this member."""

    code = "note_not_found"
    usual = "list the member's notes, and use an id from there"


class SegmentNotFoundError(NotFoundError):
    """There is no such segment at this client."""

    code = "segment_not_found"
    usual = "list the segments, and use an id from there"


class SegmentNameTakenError(ConflictError):
    """Another segment of this client has that name."""

    code = "segment_name_taken"


class SegmentInUseError(ConflictError):
    """The segment is used elsewhere."""

    code = "segment_in_use"


class SegmentKindError(ConflictError):
    """A segment of this kind does not take that."""

    code = "segment_kind"


class ImportNotFoundError(NotFoundError):
    """There is no such import at this client."""

    code = "import_not_found"
    usual = "list the imports, and use an id from there"


class ImportStateError(ConflictError):
    """The import is not in a state in which this can be done."""

    code = "import_state"


class ImportFileError(InvalidError):
    """The file cannot be read as people."""

    code = "import_file"


class OrderInvalidError(InvalidError):
    """The order or refund cannot be accepted as it is."""

    code = "order_invalid"


class OrderChangedError(ConflictError):
    """The same id was told before with something else."""

    code = "order_changed"


class OrderNotFoundError(NotFoundError):
    """There is no such order at this client."""

    code = "order_not_found"
    usual = "look at the member's orders, and use an order_id from there"


class ReferralError(ConflictError):
    """A member cannot be referred by that one."""

    code = "referral"


class TierRuleError(InvalidError):
    """The rules of the tiers cannot be accepted as they are."""

    code = "tier_rule"
