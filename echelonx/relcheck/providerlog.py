"""The provider's side: a file of JSON lines that says what was taken and what was acknowledged.

    {"provider": "twilio", "ref": <our reference>, "to": …, "at": <unix>, "provider_id": …}
    {"webhook": "<provider_id>.<word>#<copy>", "acked": true}

It is what `echelonx simulator` writes. `ref` may be missing when `provider_id` is there.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from communications.reference import References
from core.errors import InvalidError


class ProviderLogError(InvalidError):
    """The file is not such a log."""

    code = "provider_log"


@dataclass(frozen=True, slots=True)
class Taken:
    """One message a provider took."""

    communication_id: int | None
    """Whose reference it carried; None: not one of ours."""
    provider: str
    to: str
    at: float
    """Unix time in seconds."""
    provider_id: str


@dataclass(slots=True)
class ProviderLog:
    """Everything in the file."""

    taken: list[Taken] = field(default_factory=list)
    acknowledged: set[tuple[str, str]] = field(default_factory=set)
    """(provider id, the provider's word) of receipts we answered with 2xx."""

    @property
    def spans(self) -> dict[str, tuple[float, float]]:
        """From when to when the file tells of each provider, in Unix time."""
        times: dict[str, list[float]] = {}
        for one in self.taken:
            times.setdefault(one.provider, []).append(one.at)
        return {provider: (min(found), max(found)) for provider, found in times.items()}


def read_log(
    path: Path, references: References, by_provider_id: Mapping[tuple[str, str], int] | None = None
) -> ProviderLog:
    """Read the file. `by_provider_id` names communications whose lines carry no reference.

    Its keys are the provider and its id: two providers may use one id for two messages.

    A last line that was cut off is left out. Raises ProviderLogError naming the line.
    """
    found = ProviderLog()
    try:
        lines = path.read_text().split("\n")
    except OSError as error:
        raise ProviderLogError(
            f"{path} cannot be read: {error.strerror}",
            field="provider_log",
            remedy="give the file the provider or `echelonx simulator` wrote",
        ) from None
    for number, line in enumerate(lines, start=1):
        if line.strip():
            _add(found, _read(line, number, last=number == len(lines)), references)
    if by_provider_id:
        found.taken = [_named(one, by_provider_id) for one in found.taken]
    return found


def _read(line: str, number: int, *, last: bool) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError:
        if last or not line.endswith("}"):  # its writer was killed in the middle of it
            return {}
        row = None
    if not isinstance(row, dict):
        raise ProviderLogError(
            f"line {number} is not a JSON object",
            field="provider_log",
            remedy="docs/reference/relcheck.md shows the lines",
        )
    return row


def _add(found: ProviderLog, row: dict[str, Any], references: References) -> None:
    if "webhook" in row:
        event = str(row["webhook"]).rpartition("#")[0]
        provider_id, _, word = event.rpartition(".")
        found.acknowledged.add((provider_id, word))
    elif "provider" in row:
        named = references.read(str(row.get("ref") or ""))
        found.taken.append(
            Taken(
                communication_id=named[0] if named else None,
                provider=str(row["provider"]),
                to=str(row.get("to", "")),
                at=float(row.get("at", 0.0)),
                provider_id=str(row.get("provider_id", "")),
            )
        )


def _named(taken: Taken, by_provider_id: Mapping[tuple[str, str], int]) -> Taken:
    key = taken.provider, taken.provider_id
    if taken.communication_id is not None or key not in by_provider_id:
        return taken
    found = by_provider_id[key]
    return Taken(found, taken.provider, taken.to, taken.at, taken.provider_id)


def examples(found: Iterable[int | None]) -> list[int]:
    """Return a few ids for a person to look at."""
    return sorted({one for one in found if one is not None})[:10]
