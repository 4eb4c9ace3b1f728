"""Users as the API shows and reads them. Hashes, tokens and secrets have no field here."""

from marshmallow import Schema, fields, validate

from accounts.profile import ASSIGNABLE, MAX_NAME
from accounts.user import Role, UserStatus
from accounts.user_edit import MAX_BULK
from api.schemas.bulk import OneErrorSchema
from api.schemas.field import Digits, Instant, id_field
from api.schemas.page import CreatedQuery, FieldsQuery, sort_by

RoleName = validate.OneOf([role.value for role in Role])
Words = validate.Length(min=1, max=100)


class ProfileSchema(Schema):
    """What may be said of a person."""

    first_name = fields.String(allow_none=True, validate=validate.Length(max=MAX_NAME))
    last_name = fields.String(allow_none=True, validate=validate.Length(max=MAX_NAME))
    full_name = fields.String(
        allow_none=True,
        validate=validate.Length(max=2 * MAX_NAME),
        metadata={"description": "follows the first and last name unless it is given"},
    )
    phone = fields.String(allow_none=True, validate=validate.Length(max=32))
    avatar_url = fields.String(allow_none=True, validate=validate.Length(max=500))
    timezone = fields.String(allow_none=True, validate=validate.Length(max=64))
    language = fields.String(allow_none=True, validate=validate.Length(max=16))
    preferences = fields.Dict(keys=fields.String(), allow_none=True)


class NewUserSchema(ProfileSchema):
    """A user to add at the caller's client."""

    email = fields.String(required=True, validate=validate.Length(max=320))
    role = fields.String(load_default=Role.USER.value, validate=RoleName)


class UserChangesSchema(ProfileSchema):
    """What changes about a user."""

    email = fields.String(
        validate=validate.Length(max=320), metadata={"description": "super admins only"}
    )
    role = fields.String(
        validate=RoleName,
        metadata={"description": "at the caller's client; super_admin holds everywhere"},
    )
    status = fields.String(validate=validate.OneOf([one.value for one in ASSIGNABLE]))


class UserSchema(ProfileSchema):
    """A user as the caller's client sees them."""

    id = fields.Integer(required=True)
    email = fields.String(required=True)
    role = fields.String(
        required=True, metadata={"description": "at the client; the highest, for super admins"}
    )
    status = fields.String(required=True)
    email_verified = fields.Boolean(required=True)
    two_factor_enabled = fields.Boolean(required=True)
    last_login = Instant(allow_none=True)
    login_count = fields.Integer(required=True)
    created_at = Instant(required=True)
    updated_at = Instant(required=True)


class HeldSchema(Schema):
    """A client where a user has a role."""

    client_id = fields.Integer(required=True)
    name = fields.String(required=True)
    role = fields.Enum(Role, by_value=True, required=True)
    status = fields.Enum(
        UserStatus,
        by_value=True,
        required=True,
        metadata={"description": "there; the account's own is for everywhere"},
    )


class HeldChangesSchema(Schema):
    """What changes about a user's work at a client."""

    status = fields.String(
        required=True, validate=validate.OneOf([one.value for one in ASSIGNABLE])
    )


class MadeUserSchema(UserSchema):
    """A user who was just added."""

    link = fields.String(
        allow_none=True,
        metadata={
            "description": "where they set their first password, within seven days: to hand on "
            "where no mail server is configured, in this answer only"
        },
    )


class UsersQuery(CreatedQuery):
    """Which users."""

    role = fields.String(load_default=None, validate=RoleName)
    status = fields.String(
        load_default=None, validate=validate.OneOf([one.value for one in UserStatus])
    )
    q = fields.String(
        load_default=None,
        validate=Words,
        metadata={"description": "words that the name or email holds"},
    )
    sort = sort_by("id", "email", "created_at")


class FindQuery(FieldsQuery):
    """What to search for."""

    q = fields.String(
        required=True,
        validate=Words,
        metadata={"description": "words that the name or email holds"},
    )
    limit = Digits(load_default=20, validate=validate.Range(1, 100))


class EmailQuery(Schema):
    """Whose account."""

    email = fields.String(required=True, validate=validate.Length(min=1, max=320))


class UserStatisticsSchema(Schema):
    """Users, counted; lately is within 30 days."""

    total = fields.Integer(required=True)
    by_status = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
    by_role = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
    two_factor = fields.Integer(required=True)
    email_verified = fields.Integer(required=True)
    never_logged_in = fields.Integer(required=True)
    logged_in_lately = fields.Integer(required=True)
    created_lately = fields.Integer(required=True)
    counted_at = Instant(
        required=True,
        metadata={"description": "now, or for many some minutes ago"},
    )


class UserBulkSchema(Schema):
    """A change to make of many users."""

    ids = fields.List(id_field(), required=True, validate=validate.Length(min=1, max=MAX_BULK))
    changes = fields.Nested(UserChangesSchema, required=True)
    all_or_nothing = fields.Boolean(load_default=False)


class BulkResultSchema(Schema):
    """What became of one."""

    id = fields.Integer(required=True)
    status = fields.String(
        required=True,
        metadata={"description": "changed, unchanged, failed, or not_done: another one failed"},
    )
    error = fields.Nested(OneErrorSchema, allow_none=True)


class BulkResultsSchema(Schema):
    """What became of each."""

    results = fields.List(fields.Nested(BulkResultSchema), required=True)


class ActivityEntrySchema(Schema):
    """One line of the audit log."""

    id = fields.Integer(required=True)
    at = Instant(required=True)
    actor = fields.String(required=True)
    action = fields.String(required=True)
    target = fields.String(allow_none=True)


class UserPermissionsSchema(Schema):
    """What a user may do at the caller's client."""

    role = fields.String(allow_none=True)
    permissions = fields.List(
        fields.String(), required=True, metadata={"description": "actions beyond the role"}
    )
    actions = fields.List(fields.String(), required=True, metadata={"description": "all of them"})


class PermissionsChangeSchema(Schema):
    """The actions that a user has beyond the role; instead of those they had."""

    permissions = fields.List(
        fields.String(validate=validate.Length(max=64)),
        required=True,
        validate=validate.Length(max=100),
    )
