"""Guess: what each column of a file is, by its name and by what stands in its first rows.

| name says | values say | the column is | certainty |
| - | - | - | - |
| a field | nothing against it | that field | sure |
| a field | something else | that field, and the import tells | guess |
| nothing | e-mail or phone, and no column is called so | that | guess |
| nothing | anything | left out; the guess is proposed | guess |
"""

import enum
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from zoneinfo import available_timezones

from core.errors import InvalidError
from members.columns import CONSENT, named, targets_of
from members.csv_file import Row
from members.options import ImportOptions
from members.person import FIELDS
from members.reading import Read, reader_of
from members.rejects import restored
from members.written import ORDERS, written_date

SAMPLE = 200
"""Rows that are looked at."""
MOST = 0.9
"""Share of values that have to look like something for the column to be a guess of it."""
FEW = 0.5
"""A name is contradicted when more of the values cannot be read as what it says."""
ENOUGH = 3
"""Values that are needed to guess what has no sign of its own, such as a language."""
BORN = range(1900, 2013)
"""Years of birth of people one writes to; later dates are more likely dates of something else."""
EXAMPLES = 3
MAX_WORD = 32
MAX_EXAMPLE = 80

LIKE_PHONE = re.compile(r"(\+|00|0|\()?[\d\s().\-/]{7,24}").fullmatch
SIGNS_OF_PHONE = re.compile(r"\A[+0(]|\d[\s().\-/]+\d").search
"""Digits alone may as well be anybody's number of anything."""
LANGUAGES = frozenset(
    """
    ar bg bn ca cs da de el en es et fa fi fr ga he hi hr hu id it ja ko lt lv ms mt nb nl nn no pl
    pt ro ru sk sl sr sv sw th tl tr uk ur vi zh
    """.split()  # noqa: SIM905  (read, not quoted)
)
NOT_TO_BE_ADDRESSES = frozenset({"first_name", "last_name", "full_name", "location", "language"})
"""Fields of plain text: whatever stands there can be read, so only a likeness contradicts."""
PLAIN = ImportOptions()
IDENTIFYING = ("email", "phone")
"""Used by their values alone."""


class Certainty(enum.StrEnum):
    """How much a guess is to be trusted."""

    SURE = "sure"
    GUESS = "guess"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a file."""

    name: str
    examples: tuple[str, ...]
    """Its first values that differ, cut to 80 characters."""
    guess: str | None = None
    """What it seems to be: a field, `attributes.<name>`, `consent.<channel>`."""
    certainty: Certainty | None = None
    taken: bool = False
    """Whether it is read as that; if not, it is left out until a mapping says so."""
    doubt: str | None = None
    """What in its values contradicts its name."""

    @property
    def target(self) -> str | None:
        """What it is read as; None: it is left out."""
        return self.guess if self.taken else None


def columns_of(
    header: Sequence[str],
    rows: Sequence[Row],
    mapping: Mapping[str, str | None],
    options: ImportOptions,
    country: str | None,
) -> list[Column]:
    """Return what the columns are; `rows` are the first of the file, `country` that of its phones.

    Raises ImportFileError for a mapping of no column, or to no field.
    """
    good = [row.cells for row in rows if row.problem is None]
    found = []
    for at, (name, target) in enumerate(zip(header, targets_of(header, mapping), strict=True)):
        values = [restored(cells[at].strip()) for cells in good if cells[at].strip()]
        column = Column(name, _examples(values))
        if name in mapping:
            sure = Certainty.SURE if target is not None else None
            column = replace(column, guess=target, certainty=sure, taken=target is not None)
        elif target is not None:
            column = _named(column, target, values, options, country)
        elif (like := looks_like(values, country)) is not None:
            column = replace(column, guess=like, certainty=Certainty.GUESS)
        found.append(column)
    return _identified(found)


def seems_header(first: Sequence[str], mapping: Collection[str], country: str | None) -> bool:
    """Say whether the first row names columns: it has a word we know, or nobody's address."""
    if any(cell in mapping or named(cell) is not None for cell in first):
        return True
    return not any(_like_email(cell, country) or _like_phone(cell, country) for cell in first)


def _named(
    column: Column,
    target: str,
    values: Sequence[str],
    options: ImportOptions,
    country: str | None,
) -> Column:
    doubt = _doubt(target, values, options, country)
    certainty = Certainty.GUESS if doubt else Certainty.SURE
    return replace(column, guess=target, certainty=certainty, taken=True, doubt=doubt)


def _doubt(
    target: str, values: Sequence[str], options: ImportOptions, country: str | None
) -> str | None:
    """Say what in the values contradicts a name; None: nothing does."""
    like = looks_like(values, country)
    known = target in FIELDS - {"tags", "attributes"} or target.startswith(CONSENT)
    if not known:
        return None
    if target in NOT_TO_BE_ADDRESSES:
        return f"its values look like {like}" if like in IDENTIFYING else None
    read = reader_of(target, options, country)
    bad = sum(1 for value in values if not _can(read, value))
    if bad <= FEW * len(values):
        return None
    good = len(values) - bad
    text = f"{good or 'none'} of its first {len(values)} values can be read as {target}"
    if like == target == "date_of_birth":
        return f"{text}; another order of dates would read them"
    return f"{text}; they look like {like}" if like not in (None, target) else text


def _identified(columns: list[Column]) -> list[Column]:
    """Take the first column that looks like an e-mail address or a phone where none is called so.

    Whoever comes without a name for it is known by nothing else; all other likenesses are only
    proposed.
    """
    for kind in IDENTIFYING:
        if not any(one.target == kind for one in columns):
            at = next((at for at, one in enumerate(columns) if one.guess == kind), None)
            if at is not None:
                columns[at] = replace(columns[at], taken=True)
    return columns


def looks_like(values: Sequence[str], country: str | None) -> str | None:
    """Return the field that nearly all values look like; None when there is none."""
    for field, enough, looks in LIKENESSES:
        likely = sum(1 for value in values if looks(value, country))
        if len(values) >= enough and likely >= MOST * len(values):
            return field
    return "tags" if _like_tags(values) else None


def _like_email(text: str, country: str | None) -> bool:
    return "@" in text and _can(reader_of("email", PLAIN, country), text)


def _like_phone(text: str, country: str | None) -> bool:
    written = LIKE_PHONE(text) and SIGNS_OF_PHONE(text) and not _days(text)
    return bool(written) and _can(reader_of("phone", PLAIN, country), text)


def _like_birth(text: str, country: str | None) -> bool:
    del country
    return any(day.year in BORN for day in _days(text))


def _like_language(text: str, country: str | None) -> bool:
    del country
    language, sign, region = text.replace("_", "-").partition("-")
    return language in LANGUAGES and region.isalpha() == bool(sign)


def _like_timezone(text: str, country: str | None) -> bool:
    del country
    return text in _zones()


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


LIKENESSES: Sequence[tuple[str, int, Callable[[str, str | None], bool]]] = (
    # field, values that are needed, whether one looks like it
    ("email", 1, _like_email),
    ("phone", 1, _like_phone),
    ("date_of_birth", ENOUGH, _like_birth),
    ("language", ENOUGH, _like_language),
    ("timezone", ENOUGH, _like_timezone),
)


def _like_tags(values: Sequence[str]) -> bool:
    """Say whether half of the cells are lists of short words, and the same words come again."""
    lists = [re.split("[,;]", value) for value in values]
    words = [word.strip().casefold() for one in lists for word in one]
    many = sum(1 for one in lists if len(one) > 1)
    short = all(0 < len(word) <= MAX_WORD for word in words)
    return (
        len(values) >= ENOUGH
        and many * 2 >= len(values)
        and short
        and (len(set(words)) * 2 <= len(words))
    )


def _days(text: str) -> list[date]:
    """Return which days a text may be, in whatever order it is written."""
    found = []
    for order in ORDERS:
        with suppress(ValueError):
            found.append(date.fromisoformat(written_date(text, order)))
    return found


def _can(read: Read, text: str) -> bool:
    try:
        read(text)
    except InvalidError:
        return False
    return True


def _examples(values: Sequence[str]) -> tuple[str, ...]:
    return tuple(one[:MAX_EXAMPLE] for one in list(dict.fromkeys(values))[:EXAMPLES])
