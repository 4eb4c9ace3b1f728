"""Makes echelonx/demo/people.csv: 2,418 invented people, 41 of whom are deliberately bad.

`python -m bench.people` writes the same file every time. Addresses are of reserved domains; phone
numbers are from ranges kept for fiction.
"""

import csv
import io
import random
from collections.abc import Iterator
from pathlib import Path

FILE = Path(__file__).parents[1] / "echelonx" / "demo" / "people.csv"
GOOD, TWINS = 2350, 27
HEADER = [
    "member_id", "first_name", "last_name", "email", "phone", "push_token", "tier", "status",
    "engagement_score", "total_spend", "language", "timezone", "tags", "attributes.city",
    "attributes.plan", "consent.email", "consent.sms", "consent.push",
]  # fmt: skip
FIRST = """
    Ana Jonas Mia Léa Zoë Søren Chloé José Nuria Paweł Ola Tomás Ines Amara Kofi
    Priya Ravi Yuki Hana Omar Layla Noor Eve Max Lena Finn Aoife Seán Marta Luca
    Giulia Erik Freya Björn Mei
""".split()
LAST = """
    García Müller Novák Okafor Silva Rossi Dubois Kowalski Andersson Haddad Tanaka
    Sharma Nguyen O'Neill Fischer Horváth Jensen Costa Moreau Petrova Lindqvist
    Mensah Ito Kaya Byrne Weber
""".split()
CITIES = """
    Berlin Lisbon Kraków Lyon Dublin Porto Malmö Vienna Chicago Austin Denver Boston
    Seattle
""".split()
AREAS = ("201", "212", "305", "312", "404", "415", "512", "602", "617", "702", "713", "718")
SHOPS = ("shop.example", "people.example", "post.example", "mail.example")


def person(number: int, rng: random.Random) -> dict[str, str]:
    """Return one good row."""
    first, last = rng.choice(FIRST), rng.choice(LAST)
    warm = rng.random() < 0.42
    tier = rng.choices(("basic", "premium", "elite", "executive"), (38, 40, 17, 5))[0]
    tags = [tag for tag, share in (("newsletter", 0.5), ("workshop", 0.12)) if rng.random() < share]
    row = {
        "member_id": f"C-{10_000 + number}",
        "first_name": first,
        "last_name": last,
        "email": f"person{number}@{rng.choice(SHOPS)}" if rng.random() < 0.95 else "",
        "phone": _phone(number) if rng.random() < 0.62 else "",
        "push_token": f"{rng.getrandbits(256):064x}" if rng.random() < 0.22 else "",
        "tier": tier,
        "status": rng.choices(("active", "inactive", "pending"), (90, 7, 3))[0],
        "engagement_score": f"{rng.triangular(0, 100, 35):.1f}",
        "total_spend": f"{rng.expovariate(1 / 80):.2f}" if rng.random() < 0.7 else "",
        "language": rng.choice(("en", "de", "pt", "fr", "pl")),
        "timezone": rng.choice(("Europe/Berlin", "Europe/Lisbon", "America/Chicago")),
        "tags": ";".join([*tags, *(["warm-lead"] if warm else [])]),
        "attributes.city": rng.choice(CITIES) if rng.random() < 0.9 else "",
        "attributes.plan": rng.choice(("free", "starter", "pro")),
        "consent.email": rng.choices(("yes", "no", ""), (93, 3, 4))[0],
        "consent.sms": rng.choices(("yes", "no", ""), (88, 5, 7))[0],
        "consent.push": rng.choices(("yes", ""), (92, 8))[0],
    }
    if not (row["email"] or row["phone"]):
        row["email"] = f"person{number}@{SHOPS[0]}"
    return row


def _phone(number: int) -> str:
    """Return +1 <area> 555 01xx: twelve areas give 1,200 numbers, two exchanges more."""
    area, rest = divmod(number % 1200, 100)
    exchange = ("555", "556")[number // 1200 % 2]
    return f"+1 ({AREAS[area]}) {exchange}-01{rest:02d}"


def twin(row: dict[str, str]) -> dict[str, str]:
    """Return the same person in another spelling."""
    return row | {
        "member_id": f"  {row['member_id'].lower()} ",
        "email": row["email"].upper(),
        "phone": row["phone"].replace("(", "").replace(") ", "-"),
        "tags": "newsletter;twin",
    }


def bad_lines(rng: random.Random) -> Iterator[str]:
    """Return 41 lines that must each be rejected, for eleven different reasons."""
    broken: list[dict[str, str]] = []
    for number in range(34):
        row = person(50_000 + number, rng) | {"email": f"late{number}@shop.example", "phone": ""}
        changes = (
            {"email": f"late{number}@shop,example"},
            {"email": f"late{number}.shop.example"},
            {"email": f"a{number}@shop.example; b{number}@shop.example"},
            {"phone": "12345"},
            {"phone": "+1 201 555 01"},
            {"phone": "call me"},
            {"tier": "platinum"},
            {"engagement_score": "high"},
            {"timezone": "Middle-earth/Shire"},
            {"member_id": "", "email": "", "phone": ""},
        )
        broken.append(row | changes[number % len(changes)])
    yield from (_line(list(row.values())) for row in broken)
    yield 'C-90001,"Ana,García,quote@shop.example,,,basic,active,1,1,en,Europe/Berlin,,,,,,\n'
    yield 'C-90002,Jo"nas",Müller,quote2@shop.example,,,basic,active,1,1,en,,,,,,,\n'.replace(
        'Jo"nas"', '"Jo"nas'
    )
    yield "C-90003,Mia,Silva\n"
    yield "C-90004,Léa,Rossi,cells@shop.example,,,basic,active,1,1,en,,,,,yes,yes,yes,more\n"
    yield "just a note that somebody left here\n"
    yield _line(["C-90005", "Zoë", "Ito", "zoë\u200b@shop.example", *[""] * 14])
    yield _line(["C-90006", "Omar", "Kaya", "omar@shop.example", *[""] * 11, "perhaps", "", ""])


def _line(cells: list[str]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(cells)
    return out.getvalue()


def lines(seed: int = 2418) -> list[str]:
    """Return the whole file, header first."""
    rng = random.Random(seed)
    people = [person(number, rng) for number in range(GOOD)]
    known = [row for row in people if row["email"] and row["phone"]]
    people_lines = [_line(list(row.values())) for row in people]
    twins = [_line(list(twin(row).values())) for row in rng.sample(known, TWINS)]
    bad = list(bad_lines(rng))
    body = people_lines + twins
    for line in bad:
        body.insert(rng.randrange(len(body)), line)
    return [_line(HEADER), *body]


if __name__ == "__main__":
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text("".join(lines()), encoding="utf-8")
