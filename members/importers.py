"""Importers: what the columns of other products' exports mean.

| export | known by | says of a subscriber |
| - | - | - |
| listmonk's subscribers | `uuid`, `attributes`, `status` | `blocklisted`: suppressed |
| Mailchimp, an audience's files | `MEMBER_RATING`, `LEID` | left or bounced: suppressed |

Neither says to what somebody agreed, or when, in words that prove it. So an importer never grants
consent: whoever imports does, with the import's consent block.
"""

import re
from collections.abc import Sequence

from members.columns import STANDING, STANDINGS

_, LEFT, BOUNCED = STANDINGS

LISTMONK = {
    # header → what it is
    "uuid": None,
    "email": "email",
    "name": "full_name",
    "attributes": "attributes",
    "status": STANDING,
    "created_at": None,
    "updated_at": None,
}
MAILCHIMP = {
    "Email Address": "email",
    "Email": "email",
    "First Name": "first_name",
    "Last Name": "last_name",
    "Phone Number": "phone",
    "Birthday": None,  # month and day, without a year
    "TAGS": "tags",
    "NOTES": "notes",
    "TIMEZONE": "timezone",
    "UNSUB_TIME": LEFT,
    "CLEAN_TIME": BOUNCED,
}
MAILCHIMPS_OWN = frozenset(
    """
    MEMBER_RATING OPTIN_TIME OPTIN_IP CONFIRM_TIME CONFIRM_IP LATITUDE LONGITUDE GMTOFF DSTOFF CC
    REGION LAST_CHANGED LEID EUID UNSUB_CAMPAIGN_TITLE UNSUB_CAMPAIGN_ID UNSUB_REASON
    UNSUB_REASON_OTHER CLEAN_CAMPAIGN_TITLE CLEAN_CAMPAIGN_ID
    """.split()  # noqa: SIM905  (read, not quoted)
)
"""What Mailchimp notes for itself; the other columns are the audience's fields."""


def product_of(header: Sequence[str]) -> str | None:
    """Return `listmonk` or `mailchimp` when the header is that of its export."""
    names = set(header)
    if {"uuid", "email", "attributes", "status"} <= names:
        return "listmonk"
    if {"MEMBER_RATING", "LEID"} <= names:
        return "mailchimp"
    return None


def mapping_for(header: Sequence[str]) -> dict[str, str | None]:
    """Return what the columns of a known export are; nothing for any other file."""
    product = product_of(header)
    if product == "listmonk":
        return {name: target for name, target in LISTMONK.items() if name in header}
    if product == "mailchimp":
        return {name: _mailchimp(name) for name in header if name}
    return {}


def _mailchimp(name: str) -> str | None:
    if name in MAILCHIMPS_OWN:
        return None
    if name in MAILCHIMP:
        return MAILCHIMP[name]
    plain = re.sub(r"\W+", "_", name.casefold()).strip("_")
    return f"attributes.{plain[:64]}" if plain else None
