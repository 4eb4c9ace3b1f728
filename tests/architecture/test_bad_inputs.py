"""The bad inputs B001 to B096 of the test plan: each has a test that names it, or a reason."""

import re
from pathlib import Path

from tests.architecture.tree import ROOT

WANTED = {f"B{number:03}" for number in range(1, 97)}
NOT_MET = {
    "B066": "nobody subscribes by a form: there is none; letters to users are rationed",
    "B067": "as there is no form, no address waits for its owner's word",
    "B068": "messages have no public archive",
}
"""What meets no surface of ours yet. Who adds the surface takes its line out, and adds a test."""
NAMED = re.compile(r"(?<![a-z0-9])b0(\d\d)(?![0-9])", re.IGNORECASE)


def test_every_bad_input_is_named_by_a_test_or_meets_nothing_yet() -> None:
    held = {
        f"B0{number}"
        for path in (ROOT / "tests").rglob("test_*.py")
        if path != Path(__file__)
        for number in NAMED.findall(path.read_text("utf-8"))
    }

    assert sorted(WANTED - held - NOT_MET.keys()) == [], "write a test that names it"
    assert sorted(NOT_MET.keys() & held) == [], "a test holds it: take it out of NOT_MET"


def test_every_csv_that_we_write_is_quoted_against_formulas() -> None:
    """B057: who writes one writes its cells by members.rejects.harmless."""
    writing = [
        path
        for folder in ("accounts", "api", "campaigns", "communications", "echelonx", "members",
                       "webhooks")
        for path in (ROOT / folder).rglob("*.py")
        if re.search(r"csv\.(writer|DictWriter)", path.read_text("utf-8"))
    ]  # fmt: skip

    assert len(writing) >= 4
    assert [path for path in writing if "harmless(" not in path.read_text("utf-8")] == []
