"""RowReader: the rows of a file as people, read by a plan that is made once from the header.

A million rows are read by one of these, so what a column is and how its cells are read is decided
before the first row, and what few different cells say (a tier, a town, a yes) is read once.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from core.errors import InvalidError
from members.columns import ATTRIBUTES, CONSENT, STANDINGS, typed
from members.consent import ConsentState
from members.csv_file import PROBLEMS, Row
from members.errors import MemberInvalidError
from members.options import ImportOptions
from members.person import (
    KINDS,
    LENGTHS,
    MAX_ATTRIBUTES,
    MAX_VALUE,
    READERS,
    Permission,
    Person,
    read_address,
    read_attributes,
    read_tags,
)
from members.rejects import Reject, restored
from members.standing import Standing, flattened, standing_of
from members.written import written_date, written_number

KNOWN_CELLS = 5_000
"""Different cells of a column that are remembered; more than that, and it is no short list."""
YES = frozenset({"yes", "y", "true", "1", "granted", "ja", "oui", "si", "sí", "on", "x"})
NO = frozenset({"no", "n", "false", "0", "withdrawn", "nein", "non", "off"})
PLAIN_TEXT = frozenset(LENGTHS) - {"member_id"}
DATES = frozenset({"date_of_birth", "last_active"})
NUMBERS = frozenset({"engagement_score", "total_spend", "lifetime_value", "acquisition_cost"})

Read = Callable[[str], Any]


class _Step(NamedTuple):
    """One column: where it stands, what it is, how its cells are read."""

    number: int
    name: str
    read: Read


class RowReader:
    """Reads rows of one file; not for two threads at once.

    `country` (ISO 3166) is where phone numbers without a country code are; `source` is what
    consents are said to come from, such as `import:12`.
    """

    def __init__(
        self,
        header: Sequence[str],
        targets: Sequence[str | None],
        options: ImportOptions,
        *,
        country: str | None,
        source: str,
    ) -> None:
        self._header, self._targets, self._options = header, targets, options
        self._country, self._source = country, source
        self._fields: list[_Step] = []
        self._addresses: list[_Step] = []
        self._attributes: list[_Step] = []
        self._consents: list[_Step] = []
        self._tags: int | None = None
        self._standings: list[tuple[int, str]] = []
        self._document: int | None = None
        for number, target in enumerate(targets):
            if target is not None:
                self._plan(number, target)
        self._names = any(step.name in ("first_name", "last_name") for step in self._fields)
        self._read_tags = remembered(self._tags_of)
        self._said: dict[tuple[str, ...], tuple[Permission, ...]] = {}
        self._everybody = self._tags_of("")

    def _plan(self, number: int, target: str) -> None:
        if target in KINDS:
            self._addresses.append(_Step(number, KINDS[target], self._reader(target)))
        elif target.startswith(ATTRIBUTES):
            name = target.removeprefix(ATTRIBUTES)
            self._attributes.append(_Step(number, name, remembered(self._reader(target))))
        elif target.startswith(CONSENT):
            channel = target.removeprefix(CONSENT)
            self._consents.append(_Step(number, channel, remembered(self._reader(target))))
        elif target == "tags":
            self._tags = number
        elif target in STANDINGS:
            self._standings.append((number, target))
        elif target == "attributes":
            self._document = number
        else:
            read = self._reader(target)
            unlike = target in PLAIN_TEXT or target == "member_id"
            self._fields.append(_Step(number, target, read if unlike else remembered(read)))

    def _reader(self, target: str) -> Read:
        return reader_of(target, self._options, self._country)

    def read(self, row: Row) -> Person | Reject:
        """Return the person a row is about, or why it is about nobody."""
        if row.problem is not None:
            value = ",".join(row.cells)
            return Reject(row, "", row.problem, PROBLEMS[row.problem], value)
        cells: Sequence[str] = row.cells
        if "'" in "".join(cells):
            cells = [restored(cell) for cell in cells]
        try:
            person = self._person(cells)
        except InvalidError as error:
            return self._refused(row, error)
        if "member_id" in person.fields or not person.addresses.keys() <= {"push"}:
            return person
        return Reject(row, "", "no_identity", "the row has no member_id, email or phone", "")

    def _person(self, cells: Sequence[str]) -> Person:
        fields: dict[str, Any] = {}
        for number, name, read in self._fields:
            if cell := cells[number].strip():
                fields[name] = read(cell)
        if self._names and "full_name" not in fields:
            first, last = fields.get("first_name"), fields.get("last_name")
            if first or last:
                fields["full_name"] = f"{first} {last}" if first and last else first or last
        addresses: dict[str, str] = {}
        for number, kind, read in self._addresses:
            if cell := cells[number].strip():
                addresses[kind] = read(cell)
        person = Person(fields=fields, addresses=addresses, tags=self._everybody)
        if self._tags is not None:
            person.tags = self._read_tags(cells[self._tags])
        self._around(person, cells)
        return person

    def _around(self, person: Person, cells: Sequence[str]) -> None:
        attributes = person.attributes
        if self._document is not None and cells[self._document].strip():
            attributes |= read_attributes(flattened(cells[self._document]))
        for number, name, read in self._attributes:
            if cell := cells[number].strip():
                attributes[name] = read(cell)
        if len(attributes) > MAX_ATTRIBUTES:
            read_attributes(attributes)
        said = tuple([cells[step.number] for step in self._consents])
        known = self._said.get(said)
        person.consents = known if known is not None else self._permissions(said)
        for number, target in self._standings:
            standing = standing_of(target, cells[number])
            person.suppress = standing.suppress or person.suppress
            person.consents = self._with_standing(person.consents, standing)

    def _tags_of(self, cell: str) -> tuple[str, ...]:
        # Mailchimp writes each tag between quotation marks.
        parts = cell.replace(";", ",").replace('"', "").split(",")
        return read_tags([*self._options.tags, *parts])

    def _permissions(self, said: tuple[str, ...]) -> tuple[Permission, ...]:
        words = dict.fromkeys(self._options.consent_channels, ConsentState.GRANTED)
        for (_, channel, read), cell in zip(self._consents, said, strict=True):
            if cell.strip():
                words[channel] = read(cell.strip())
        found = tuple(self._permission(channel, state) for channel, state in words.items())
        if len(self._said) < KNOWN_CELLS:
            self._said[said] = found
        return found

    def _with_standing(
        self, said: tuple[Permission, ...], standing: Standing
    ) -> tuple[Permission, ...]:
        """Whoever left did not agree with everybody else in the file."""
        if standing.consent is not None:
            rest = tuple(one for one in said if one.channel != "email")
            return (*rest, self._permission("email", standing.consent))
        if standing.suppress is not None:
            return tuple(one for one in said if one.channel != "email")
        return said

    def _permission(self, channel: str, state: ConsentState) -> Permission:
        options = self._options
        proof = {"said_by": options.consent_source} if options.consent_source else {}
        return Permission(
            channel=channel,
            state=state,
            source=self._source,
            wording=options.consent_wording,
            occurred_at=options.consent_at,
            proof=proof,
        )

    def _refused(self, row: Row, error: InvalidError) -> Reject:
        target = error.field or ""
        number = self._targets.index(target) if target in self._targets else None
        column = self._header[number] if number is not None else target
        value = row.cells[number] if number is not None else ""
        code = getattr(error, "reason", None) or error.code
        message = f"{error} ({error.remedy})" if error.remedy else str(error)
        return Reject(row, column, str(code)[:40], message, value)


def reader_of(target: str, options: ImportOptions, country: str | None) -> Read:
    """Return how a cell of an address, attribute, consent or field is read.

    What it returns raises AddressError or MemberInvalidError.
    """
    if target in KINDS:
        kind = KINDS[target]
        return lambda cell: read_address(target, kind, cell, country)
    if target.startswith(ATTRIBUTES):
        return _attribute(target.removeprefix(ATTRIBUTES), options)
    if target.startswith(CONSENT):
        return _yes_or_no(target)
    return _field(target, options)


def _attribute(name: str, options: ImportOptions) -> Read:
    comma = options.decimal == ","

    def read(cell: str) -> Any:
        if len(cell) > MAX_VALUE:
            read_attributes({name: cell})
        return typed(written_number(cell) if comma else cell)

    return read


def _field(target: str, options: ImportOptions) -> Read:
    reader, order = READERS[target], options.date_order
    if target in DATES and order != "ymd":
        return lambda cell: reader(target, written_date(cell, order))
    if target in NUMBERS and options.decimal == ",":
        return lambda cell: reader(target, written_number(cell))
    if target in PLAIN_TEXT:
        limit = LENGTHS[target]
        return lambda cell: cell if len(cell) <= limit else reader(target, cell)
    return lambda cell: reader(target, cell)


def remembered(read: Read) -> Read:
    """Return `read` with a memory for the cells it has seen."""
    known: dict[str, Any] = {}

    def again(cell: str) -> Any:
        if cell in known:
            return known[cell]
        value = read(cell)
        if len(known) < KNOWN_CELLS:
            known[cell] = value
        return value

    return again


def _yes_or_no(target: str) -> Read:
    def read(cell: str) -> ConsentState:
        word = cell.casefold()
        if word in YES:
            return ConsentState.GRANTED
        if word in NO:
            return ConsentState.WITHDRAWN
        raise MemberInvalidError(
            f"“{cell[:40]}” is neither yes nor no", field=target, remedy="write yes or no"
        )

    return read
