"""Functions: what the product owes its users, by the names of its source document, and where it is.

Each function is an operation of the API, named by method and path, and a command where a person
would do it by hand. `reference()` writes docs/reference/functions.md; a test holds the table, the
OpenAPI document, the commands and the page equal.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

BASE = "/api/v1"


@dataclass(frozen=True, slots=True)
class Function:
    """Where one function is."""

    operation: str | None
    """`GET /members`; None while there is none."""
    how: str = ""
    """What to ask it for, where the operation alone does not say it."""
    command: str | None = None
    """`member search`: the command line's way."""

    @property
    def method(self) -> str:
        """The method in lower case, as the OpenAPI document has it."""
        return (self.operation or "").partition(" ")[0].lower()

    @property
    def path(self) -> str:
        """The path, as the OpenAPI document has it."""
        return BASE + (self.operation or "").partition(" ")[2]


_F = Function
USERS = {
    "getUsers": _F("GET /users", "`role`, `status`, `q`"),
    "getUserById": _F("GET /users/{user_id}"),
    "getUserByEmail": _F("GET /users/by-email"),
    "createUser": _F("POST /users", "a client's admin: `POST /invitations`", "user add"),
    "updateUser": _F("PATCH /users/{user_id}"),
    "deleteUser": _F("DELETE /users/{user_id}"),
    "getUserStats": _F("GET /users/statistics"),
    "updateLastLogin": _F("POST /sign-in", "every sign-in is counted"),
    "getUsersByRole": _F("GET /users", "`role`"),
    "searchUsers": _F("GET /users/search"),
    "bulkUpdateUsers": _F("POST /users/bulk-edits"),
    "getUserActivity": _F("GET /users/{user_id}/activity"),
    "resetPassword": _F("POST /password-resets", "then `/confirm`", "user reset-password"),
    "verifyEmail": _F("POST /email-verifications"),
    "enableTwoFactor": _F("POST /me/two-factor", "then `/confirm`"),
    "getUserPermissions": _F(
        "GET /users/{user_id}/permissions", "change: `PUT /users/{user_id}/permissions`"
    ),
}
CLIENTS = {
    "getClients": _F("GET /clients", "`status`, `tier`, `industry`, `q`", "client list"),
    "getClientById": _F("GET /clients/{client_id}", "the own: `/clients/me`", "client show"),
    "createClient": _F("POST /clients", command="client create"),
    "updateClient": _F("PATCH /clients/{client_id}", "the own: `/clients/me`"),
    "deleteClient": _F("DELETE /clients/{client_id}"),
    "getClientStats": _F("GET /clients/statistics"),
    "getClientsByTier": _F("GET /clients", "`tier`", "client list"),
    "searchClients": _F("GET /clients/search", command="client list"),
    "getClientRevenue": _F("GET /clients/{client_id}/revenue"),
    "bulkUpdateClients": _F("POST /clients/bulk-edits"),
    "getClientActivity": _F("GET /clients/{client_id}/activity"),
    "getExpiringContracts": _F("GET /clients/expiring", command="client expiring"),
    "upgradeClientTier": _F("POST /clients/{client_id}/tier", command="client tier"),
    "getClientUsage": _F("GET /clients/{client_id}/usage", command="client usage"),
    "exportClientData": _F("POST /exports", "`of` `client`; everything, as a ZIP", "client export"),
}
MEMBERS = {
    "getMembers": _F("GET /members", "`match` is any condition", "segment show"),
    "getMemberById": _F("GET /members/{member_id}", command="member show"),
    "getMemberByMemberId": _F("GET /members", "`member_id`; a merged one leads to its survivor"),
    "getMemberByEmail": _F("GET /members", "`email`; all who share a mailbox"),
    "createMember": _F("POST /members"),
    "updateMember": _F("PATCH /members/{member_id}"),
    "deleteMember": _F("DELETE /members/{member_id}", "erase: `POST /members/{member_id}/erasure`"),
    "getMemberStats": _F("GET /members/statistics"),
    "updateMemberEngagement": _F(
        "GET /members/{member_id}/scores", "computed by itself, with reasons", "member score"
    ),
    "updateMemberSpend": _F(
        "POST /orders", "refunds: `POST /orders/{order_id}/refund`", "order add"
    ),
    "getMembersByTier": _F("GET /tiers", "near and falling: `GET /tiers/near`, `/tiers/falling`"),
    "searchMembers": _F("GET /members/search", command="member search"),
    "bulkUpdateMembers": _F("POST /bulk-edits", "try it: `POST /bulk-edits/preview`"),
    "getMemberLifetimeValue": _F("GET /members/{member_id}/scores", "`value`", "member score"),
    "getMemberSegments": _F("GET /members/{member_id}/segments"),
    "trackMemberActivity": _F("POST /events", command="event track"),
    "getMemberRecommendations": _F("GET /members/{member_id}/recommendations"),
    "upgradeMemberTier": _F("PUT /members/{member_id}/tier", "by rules: `POST /tiers/evaluate`"),
    "getMemberReferrals": _F("GET /members/{member_id}/referrals"),
    "calculateChurnRisk": _F("GET /members/{member_id}/scores", "`churn`", "member score"),
}
COMMUNICATIONS = {
    "getCommunications": _F("GET /communications", command="log tail"),
    "getCommunicationById": _F("GET /communications/{communication_id}", command="log show"),
    "createCommunication": _F("POST /communications"),
    "updateCommunicationStatus": _F(
        "POST /unknown/resolve", "providers' receipts do it by themselves", "unknown resolve"
    ),
    "getCommunicationStats": _F("GET /communications/statistics"),
    "logSMS": _F("POST /communications", "`channel` `sms`; every message logs itself"),
    "logEmail": _F("POST /communications", "`channel` `email`; every message logs itself"),
    "logMMS": _F("POST /communications", "`channel` `mms`; every message logs itself"),
    "getCommunicationsByChannel": _F("GET /communications", "`channel`"),
    "getCommunicationsByMember": _F(
        "GET /members/{member_id}/timeline", "with what was not sent, and why", "member why"
    ),
    "bulkCreateCommunications": _F("POST /communications/batch"),
    "getDeliveryRates": _F("GET /communications/statistics", "`rate`; `by` says of what"),
    "getCommunicationCosts": _F("GET /communications/costs"),
    "getEngagementMetrics": _F("GET /communications/engagement"),
    "retryFailedCommunications": _F(
        "POST /communications/retry", "why they failed: `GET /communications/failures`"
    ),
    "getCommunicationTimeline": _F(
        "GET /communications/{communication_id}",
        "`timeline`, with what each gap was spent on",
        "log show",
    ),
    "exportCommunications": _F("POST /exports", "`of` `communications`"),
    "getOptOutRequests": _F("GET /communications/opt-outs"),
    "getSpamReports": _F("GET /communications/spam-reports"),
    "getResponseRates": _F("GET /communications/responses"),
}
CAMPAIGNS = {
    "getCampaigns": _F("GET /campaigns", command="campaign list"),
    "getCampaignById": _F("GET /campaigns/{campaign_id}", command="campaign show"),
    "createCampaign": _F("POST /campaigns"),
    "updateCampaign": _F("PATCH /campaigns/{campaign_id}"),
    "deleteCampaign": _F("DELETE /campaigns/{campaign_id}"),
    "getCampaignStats": _F("GET /campaigns/{campaign_id}/statistics", command="campaign watch"),
    "launchCampaign": _F("POST /campaigns/{campaign_id}/launch", command="campaign launch"),
    "pauseCampaign": _F("POST /campaigns/{campaign_id}/pause", command="campaign pause"),
    "resumeCampaign": _F("POST /campaigns/{campaign_id}/resume", command="campaign resume"),
    "duplicateCampaign": _F("POST /campaigns/{campaign_id}/duplicate"),
    "getCampaignsByStatus": _F("GET /campaigns", "`status`"),
    "getScheduledCampaigns": _F("GET /campaigns/scheduled"),
    "getCampaignROI": _F("GET /campaigns/{campaign_id}/roi"),
    "getCampaignEngagement": _F("GET /campaigns/{campaign_id}/engagement"),
    "bulkUpdateCampaigns": _F("POST /campaigns/batch"),
    "archiveCampaign": _F("POST /campaigns/{campaign_id}/archive"),
    "getCampaignTimeline": _F("GET /campaigns/{campaign_id}/timeline"),
    "exportCampaignData": _F("POST /exports", "`of` `communications`, `filter` `campaign_id`"),
    "optimizeCampaign": _F("GET /campaigns/{campaign_id}/suggestions"),
    "getCampaignABResults": _F(
        "GET /campaigns/{campaign_id}/experiment", "`goal`", command="campaign experiment"
    ),
}
FUNCTIONS: Mapping[str, Mapping[str, Function]] = {
    "Users": USERS,
    "Clients": CLIENTS,
    "Members": MEMBERS,
    "Communications": COMMUNICATIONS,
    "Campaigns": CAMPAIGNS,
}
"""Every function, by the table of the source document it is listed with."""

INTRODUCTION = """\
# Functions

What the source document calls the functions of EchelonX, and where each is in the [API](api.md)
and on the command line. Made from `api/functions.py`; a test compares them.
"""


def reference(document: Mapping[str, Any]) -> str:
    """Return docs/reference/functions.md, with what the OpenAPI document says of each."""
    lines = [INTRODUCTION]
    for room, functions in FUNCTIONS.items():
        lines += [f"## {room}", "", "| function | API | | command |", "| --- | --- | --- | --- |"]
        lines += [_line(name, one, document) for name, one in functions.items()]
        lines.append("")
    return "\n".join(lines)


def _line(name: str, one: Function, document: Mapping[str, Any]) -> str:
    command = f"`echelonx {one.command}`" if one.command else ""
    if one.operation is None:
        return f"| `{name}` | not yet | | {command} |"
    summary = document["paths"][one.path][one.method]["summary"]
    how = f"{one.how}. {summary}" if one.how else summary
    return f"| `{name}` | `{one.operation}` | {how} | {command} |"
