"""ImportOptions: how a file of people is read, and what is done with whom it names."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from members.upsert import Existing


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """How a file is read."""

    mapping: Mapping[str, str | None] = field(default_factory=dict)
    """Header → field, `attributes.<name>`, `consent.<channel>`, or None to leave it out."""
    existing: Existing = Existing.FILL
    header: bool | None = None
    """Whether the first row names the columns; None: found out. Else they are `column 1`, …"""
    encoding: str | None = None
    delimiter: str | None = None
    sheet: str | None = None
    """Of a workbook: which sheet; the first, when not given."""
    country: str | None = None
    """Where phone numbers without a country code are (ISO 3166)."""
    date_order: str = "ymd"
    """`ymd`, `dmy` or `mdy`: how dates are written that do not begin with the year."""
    decimal: str = "."
    """The decimal sign of numbers; with `,` a dot groups thousands."""
    consent_channels: Sequence[str] = ()
    """Channels that everybody in the file agreed to."""
    consent_wording: str | None = None
    """The text they agreed to."""
    consent_source: str | None = None
    """Where and how they agreed, such as `paper form at the fair`; kept as proof."""
    consent_at: datetime | None = None
    tags: Sequence[str] = ()
    """Tags that everybody in the file gets."""


def as_json(options: ImportOptions) -> dict[str, Any]:
    """Return options as JSON keeps them."""
    found = asdict(options)
    found["mapping"] = dict(options.mapping)
    found["existing"] = options.existing.value
    for name in ("consent_channels", "tags"):
        found[name] = list(found[name])
    if options.consent_at is not None:
        found["consent_at"] = options.consent_at.isoformat()
    return found


def from_json(kept: Mapping[str, Any]) -> ImportOptions:
    """Return the options that as_json() kept; what it does not know is left out."""
    names = ImportOptions.__dataclass_fields__
    options = ImportOptions(**{name: value for name, value in kept.items() if name in names})
    said_at = kept.get("consent_at")
    return replace(
        options,
        existing=Existing(options.existing),
        consent_at=datetime.fromisoformat(said_at) if said_at else None,
    )
