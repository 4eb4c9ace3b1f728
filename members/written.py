"""Written: dates and numbers as people write them, put into the one form that is read.

`31.01.1990`, `1/31/1990` and `1.234,50` mean something only to somebody who knows the file: which
order its dates have, and which sign its decimals.
"""

import re

DATE = re.compile(r"(\d{1,4})\s*[./\-\s]\s*(\d{1,2})\s*[./\-\s]\s*(\d{1,4})(.*)").fullmatch
ORDERS = {"ymd": (0, 1, 2), "dmy": (2, 1, 0), "mdy": (2, 0, 1)}
"""Order of a written date → where year, month and day stand in it."""


def written_date(text: str, order: str) -> str:
    """Return `31.01.1990` (order `dmy`) as `1990-01-31`; text that is no date is left alone.

    A date that begins with a year of four digits is read as year, month, day in every order.
    """
    found = DATE(text)
    if found is None:
        return text
    parts = found.groups()[:3]
    year, month, day = (parts[at] for at in ORDERS["ymd" if len(parts[0]) == 4 else order])
    if len(year) != 4:
        return text
    return f"{year}-{month:0>2}-{day:0>2}{found.group(4)}"


def written_number(text: str) -> str:
    """Return `1.234,50` and `1 234,50` as `1234.50`; text that is no such number is left alone."""
    plain = text.replace(" ", "").replace("\u00a0", "").replace("\u202f", "")
    whole, comma, rest = plain.partition(",")
    digits = whole.removeprefix("-")
    grouped = re.fullmatch(r"\d{1,3}(\.\d{3})+|\d+", digits) is not None
    if not grouped or (comma and not rest.isdigit()) or (not comma and "." not in digits):
        return text
    return whole.replace(".", "") + (f".{rest}" if comma else "")
