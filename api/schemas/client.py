"""Clients as the API shows and reads them."""

from marshmallow import Schema, fields, validate

from accounts.client import SIZES, ClientStatus, SubscriptionTier
from accounts.client_edit import MAX_BULK
from accounts.client_queries import MAX_DAYS
from accounts.client_settings import CHECKS
from api.schemas.field import Digits, Instant, id_field, money
from api.schemas.page import Name, PageQuery, Tags
from core.month import MOST

Status = validate.OneOf([one.value for one in ClientStatus])
Tier = validate.OneOf([one.value for one in SubscriptionTier])


class ClientChangesSchema(Schema):
    """What a client may say of itself."""

    name = fields.String(validate=Name)
    email = fields.String(allow_none=True, validate=validate.Length(max=320))
    phone = fields.String(allow_none=True, validate=validate.Length(max=64))
    address = fields.String(
        allow_none=True,
        validate=validate.Length(max=1000),
        metadata={"description": "the postal address that commercial mail must carry"},
    )
    website = fields.String(allow_none=True, validate=validate.Length(max=500))
    industry = fields.String(allow_none=True, validate=validate.Length(max=100))
    company_size = fields.String(allow_none=True, validate=validate.OneOf(SIZES))
    billing_address = fields.String(allow_none=True, validate=validate.Length(max=1000))
    tax_id = fields.String(allow_none=True, validate=validate.Length(max=64))
    logo_url = fields.String(allow_none=True, validate=validate.Length(max=500))
    notes = fields.String(allow_none=True, validate=validate.Length(max=10_000))
    tags = Tags
    timezone = fields.String(validate=validate.Length(min=1, max=64))
    country = fields.String(allow_none=True, validate=validate.Length(equal=2))
    settings = fields.Dict(
        keys=fields.String(),
        metadata={
            "description": f"any of {', '.join(CHECKS)}; what is not named stays, null takes away"
        },
    )


class ClientSchema(ClientChangesSchema):
    """A client."""

    id = fields.Integer(required=True)
    name = fields.String(required=True)
    status = fields.String(required=True)
    subscription_tier = fields.String(required=True)
    contract_start = Instant(allow_none=True)
    contract_end = Instant(allow_none=True)
    monthly_spend_limit = money(allow_none=True)
    created_at = Instant(required=True)
    updated_at = Instant(required=True)


class AgreedChangesSchema(ClientChangesSchema):
    """What changes about a client; status, contract and limit are a super admin's to set."""

    status = fields.String(validate=Status)
    contract_start = Instant(allow_none=True)
    contract_end = Instant(allow_none=True)
    monthly_spend_limit = money(allow_none=True)


class NewClientSchema(AgreedChangesSchema):
    """A client to add."""

    name = fields.String(required=True, validate=Name)


class ClientsQuery(PageQuery):
    """Which clients."""

    status = fields.String(load_default=None, validate=Status)
    tier = fields.String(load_default=None, validate=Tier)
    industry = fields.String(load_default=None, validate=validate.Length(max=100))
    q = fields.String(
        load_default=None,
        validate=validate.Length(min=1, max=100),
        metadata={"description": "words that the name or email holds"},
    )


class ExpiringQuery(PageQuery):
    """Whose contract ends within so many days."""

    days = Digits(load_default=30, validate=validate.Range(0, MAX_DAYS))


class MonthsQuery(Schema):
    """How far back: whole UTC months, this one among them."""

    months = Digits(load_default=3, validate=validate.Range(1, MOST))


class ExpiringSchema(Schema):
    """A contract that ends soon, or has ended."""

    client_id = fields.Integer(required=True)
    name = fields.String(required=True)
    email = fields.String(allow_none=True)
    subscription_tier = fields.String(required=True)
    contract_end = Instant(required=True)
    days_left = fields.Integer(required=True)
    overdue = fields.Boolean(required=True)


class ClientStatisticsSchema(Schema):
    """Clients, counted; soon and lately are within 30 days."""

    total = fields.Integer(required=True)
    by_status = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
    by_tier = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
    created_lately = fields.Integer(required=True)
    contracts_expiring = fields.Integer(required=True)
    contracts_overdue = fields.Integer(required=True)


class ClientBulkSchema(Schema):
    """A change to make of many clients."""

    ids = fields.List(id_field(), required=True, validate=validate.Length(min=1, max=MAX_BULK))
    changes = fields.Nested(AgreedChangesSchema, required=True)
    all_or_nothing = fields.Boolean(load_default=False)


class ClientTierSchema(Schema):
    """The tier a client is to have."""

    tier = fields.String(required=True, validate=Tier)
    reason = fields.String(load_default=None, validate=validate.Length(max=300))


class ClientTierChangedSchema(Schema):
    """What became of it."""

    subscription_tier = fields.String(required=True)
    changed = fields.Boolean(required=True, metadata={"description": "false: it had it already"})


class MonthRevenueSchema(Schema):
    """What members paid in a month, in one currency."""

    month = fields.String(required=True)
    currency = fields.String(required=True)
    orders = fields.Integer(required=True)
    refunds = fields.Integer(required=True)
    gross = money(required=True)
    refunded = money(required=True)
    net = money(required=True)


class TotalSchema(Schema):
    """An amount in one currency."""

    currency = fields.String(required=True)
    amount = money(required=True)


class RevenueSchema(Schema):
    """A client's revenue; currencies are never added up."""

    total = fields.List(fields.Nested(TotalSchema), required=True)
    months = fields.List(fields.Nested(MonthRevenueSchema), required=True)


class MonthUsageSchema(Schema):
    """Messages of one channel in one month, and what they cost."""

    month = fields.String(required=True)
    channel = fields.String(required=True)
    currency = fields.String(allow_none=True)
    sent = fields.Integer(required=True)
    not_sent = fields.Integer(required=True)
    received = fields.Integer(required=True)
    settled = money(required=True)
    estimated = money(required=True)


class SpendSchema(Schema):
    """What was spent this month, beside the limit."""

    settled = fields.List(fields.Nested(TotalSchema), required=True)
    estimated = money(required=True)
    limit = money(allow_none=True)
    near = fields.Boolean(required=True, metadata={"description": "four fifths are spent"})
    reached = fields.Boolean(required=True, metadata={"description": "nothing more is launched"})


class UsageSchema(Schema):
    """What a client uses."""

    members = fields.Integer(required=True)
    users = fields.Integer(required=True)
    campaigns = fields.Integer(required=True)
    this_month = fields.Nested(SpendSchema, required=True)
    months = fields.List(fields.Nested(MonthUsageSchema), required=True)
    rows = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        metadata={"description": "stored rows by table, with `rows=true`"},
    )


class UsageQuery(MonthsQuery):
    """How far back, and whether stored rows are counted too, which takes longer."""

    rows = fields.Boolean(load_default=False)
