"""Mirrors communications/dossier.py: every table that may hold something of a person is known."""

import re

from communications.dossier import FOUND, SECTIONS, WITHOUT
from echelonx.tables import METADATA

LOOKS_PERSONAL = re.compile(
    r"(^|_)(member|survivor|absorbed|referrer|referred|communication|enrolment)(_id)?$|address|email"
    r"|phone|^value$|^original$|^properties$|^content$|^request$|^body$|^answer$|^merge$|_name$"
).search


def test_no_table_that_may_hold_something_of_a_person_is_overlooked() -> None:
    known = {one.table for one in SECTIONS} | set(FOUND) | set(WITHOUT)
    overlooked = {
        table.name: names
        for table in METADATA.sorted_tables
        if table.name not in known
        and (names := [one.name for one in table.columns if LOOKS_PERSONAL(one.name)])
    }
    assert overlooked == {}, (
        "Add the table to SECTIONS, so that people get it with their data, or to WITHOUT with the "
        "reason; and if it is personal, to members/erasure.py or members/traces.py"
    )
    assert known <= METADATA.tables.keys()
