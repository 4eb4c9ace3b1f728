"""Doubt: what speaks against an email address that is well formed. It is told, never acted upon.

Such addresses are kept and written to: whether `info@` is a person is for the client to say.
"""

import enum

ROLES = frozenset((
    "abuse", "admin", "administrator", "billing", "bookings", "contact", "customerservice",
    "enquiries", "everyone", "help", "helpdesk", "hello", "hostmaster", "hr", "info",
    "inquiries", "jobs", "mail", "marketing", "media", "news", "newsletter", "noc", "office",
    "orders", "postmaster", "press", "privacy", "purchasing", "reception", "root", "sales",
    "security", "service", "shop", "staff", "support", "team", "webmaster", "welcome",
))  # fmt: skip
"""Mailboxes of a function, not of a person (RFC 2142, and what companies add to it)."""
UNREAD = frozenset((
    "noreply", "no-reply", "no_reply", "no.reply", "donotreply", "do-not-reply", "do_not_reply",
))  # fmt: skip
"""Mailboxes that say of themselves that nobody reads them."""
RESERVED = (
    ".invalid", ".test", ".example", ".localhost", ".local",
    "@example.com", ".example.com", "@example.net", ".example.net", "@example.org", ".example.org",
)  # fmt: skip
"""Names that no mail reaches, ever (RFC 2606, RFC 6761, RFC 6762)."""


class Doubt(enum.StrEnum):
    """Why an address may not be a person's."""

    NOBODY_READS = "nobody_reads"
    NO_MAIL = "no_mail"
    ROLE = "role"


def doubt_of(email: str) -> Doubt | None:
    """Return what speaks most against an address in its normal form, or None.

    Plus-tags do not count: `info+web@` is `info@`.
    """
    local, _, _ = email.rpartition("@")
    mailbox = local.partition("+")[0]
    if mailbox in UNREAD:
        return Doubt.NOBODY_READS
    if email.endswith(RESERVED):
        return Doubt.NO_MAIL
    return Doubt.ROLE if mailbox in ROLES else None
