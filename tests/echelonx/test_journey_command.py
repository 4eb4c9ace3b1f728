"""Mirrors echelonx/commands/journey.py, journey_file.py and journey_move.py."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from campaigns.journeys.advance import advance
from campaigns.template import create_template
from channels.channel import Channel
from core.clock import SystemClock
from core.db import write
from core.settings import Settings
from echelonx import wiring
from members.segment import create_segment
from tests.echelonx.conftest import Call
from tests.factories import Factory

TEXT = """journey "Welcome"
  when asked

  send email "hello" as hello
  wait 1d
"""


@pytest.fixture
def services(shop: dict[str, Any], tmp_path: Path) -> Iterator[wiring.Services]:
    settings = Settings(database_url=f"sqlite:///{tmp_path / 'echelonx.db'}", data_dir=tmp_path)
    made = wiring.build(settings)
    yield made
    made.close()


@pytest.fixture
def make(services: wiring.Services, shop: dict[str, Any]) -> Factory:
    """A shop with a provider and a template."""
    factory = Factory(services.sessions, SystemClock(), shop["client"])
    factory.vault, factory.hasher = services.vault, services.hasher
    factory.account("smtp", Channel.EMAIL, {})
    with write(services.sessions) as session:
        create_template(
            session, services.clock, client_id=shop["client"], name="hello",
            channel=Channel.EMAIL, subject="Hi", html="<p>{{ unsubscribe_url }}</p>",
        )  # fmt: skip
    return factory


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "welcome.journey"
    path.write_text(TEXT)
    return path


@pytest.fixture
def live(call: Call, make: Factory, file: Path, services: wiring.Services) -> Factory:
    """The journey, published, with one person who waits in it."""
    assert call("journey", "publish", str(file)).code == 0
    member = make.member(member_id="c-1", first_name="Ana")
    make.address(member)
    assert call("journey", "enrol", "Welcome", "--member", "c-1").code == 0
    with write(services.sessions) as session:
        advance(session, services.clock, services.hasher, journey_id=1)
    return make


def test_a_file_is_checked_and_formatted_without_a_database(call: Call, file: Path) -> None:
    good = call("journey", "check", str(file), "--json")
    assert (good.code, good.json["summary"]) == (0, "2 steps, 1 path, longest 1 day.")
    (warning,) = good.json["findings"]
    assert (warning["code"], warning["line"]) == ("no_fallback", 4)
    told = call("journey", "check", str(file))
    assert f"{file}:4: warning: whoever has no email gets nothing here\n    -> " in told.out

    file.write_text(TEXT.replace("wait 1d", "# why\n  wait   1d"))
    assert call("journey", "fmt", str(file)).out == TEXT.replace("wait 1d", "# why\n  wait 1d")
    assert "wait   1d" in file.read_text()
    assert call("journey", "fmt", str(file), "--write", "--json").json["changed"] is True
    assert "  # why\n  wait 1d\n" in file.read_text()
    assert call("journey", "fmt", str(file), "--write", "--json").json["changed"] is False


def test_a_mistake_is_told_with_its_line_and_what_to_do(call: Call, file: Path) -> None:
    file.write_text(TEXT.replace("send", "snd"))
    told = call("journey", "check", str(file))
    assert told.code == 1
    assert f"{file}:4: error: Line 4: “snd” is not a step" in told.out
    assert "-> did you mean “send”?" in told.out
    (mistake,) = call("journey", "check", str(file), "--json").json["findings"]
    assert (mistake["line"], mistake["column"]) == (4, 3)
    for command in (("fmt", str(file)), ("fmt", str(file), "--write")):
        failed = call("journey", *command)
        assert (failed.code, "Line 4" in failed.err, "-> did you" in failed.err) == (1, True, True)
    assert "snd" in file.read_text()
    file.write_text(TEXT + "  exit\n  wait 1d\n")
    assert call("journey", "check", str(file)).code == 1, "nobody comes to the last step"


def test_a_plan_says_what_a_publish_would_change(call: Call, live: Factory, file: Path) -> None:
    same = call("journey", "plan", str(file), "--json")
    assert (same.code, same.json["changes"], same.json["inside"]) == (0, [], 1)
    file.write_text(TEXT.replace("wait 1d", 'tag "x"'))
    told = call("journey", "plan", str(file))
    assert told.code == 0
    assert "“Welcome”, version 2\n  removes wait 1d\n" in told.out
    assert "1 inside stays on their version until they are moved" in told.out
    assert "1 at wait-1d would have no step after a move" in told.out
    assert call("journey", "list", "--json").json["journeys"][0]["version"] == 1


def test_what_blocks_a_publish_is_exit_code_3(call: Call, make: Factory, file: Path) -> None:
    file.write_text(TEXT.replace('"hello"', '"none"'))
    for command in ("plan", "publish"):
        told = call("journey", command, str(file))
        assert told.code == 3
        assert (told.out + told.err).count("there is no email template “none”") == 1
    assert call("journey", "plan", str(file), "--json").json["problems"][0]["code"] == "no_template"
    assert call("journey", "list", "--json").json == {"journeys": []}, "nothing was saved"


def test_publishing_a_file_makes_the_journey_or_its_next_version(
    call: Call, make: Factory, file: Path
) -> None:
    first = call("journey", "publish", str(file))
    assert "“Welcome” is published, version 1: new" in first.out
    again = call("journey", "publish", str(file), "--json").json
    assert (again["version"], again["changes"]) == (1, [])
    file.write_text(TEXT.replace("1d", "2d"))
    assert "version 2: changes wait 1d to wait 2d" in call("journey", "publish", str(file)).out
    (one,) = call("journey", "list", "--json").json["journeys"]
    assert (one["name"], one["status"], one["version"]) == ("Welcome", "active", 2)


def test_a_journey_is_shown_by_name_or_id_and_nearly_a_name_is_told(
    call: Call, live: Factory
) -> None:
    by_name = call("journey", "show", "Welcome", "--json").json
    assert by_name == call("journey", "show", "1", "--json").json
    assert (by_name["inside"], by_name["text"]) == (1, TEXT)
    assert by_name["draft_changes"] == "changes nothing"
    assert 'send email "hello" as hello' in call("journey", "show", "Welcome").out
    missed = call("journey", "show", "Welcom")
    assert (missed.code, "did you mean “Welcome”?" in missed.err) == (1, True)


def test_it_is_paused_drained_resumed_and_archived(call: Call, live: Factory) -> None:
    for command, status in (("pause", "paused"), ("drain", "draining"), ("resume", "active")):
        assert call("journey", command, "Welcome", "--json").json["status"] == status
    ended = call("journey", "archive", "Welcome", "--yes", "--json").json
    assert (ended["status"], ended["inside"]) == ("archived", 0)
    refused = call("journey", "pause", "Welcome")
    assert (refused.code, "->" in refused.err) == (1, True)


def test_a_draft_is_published_by_its_name(call: Call, make: Factory) -> None:
    assert call("recipe", "install", "welcome").code == 0
    blocked = call("journey", "publish", "Welcome")
    assert (blocked.code, "things stand in the way" in blocked.err) == (3, True)
    for channel in ("sms", "push"):
        make.account("twilio", Channel(channel), {})
    assert call("journey", "plan", "Welcome").code == 0
    assert "is published, version 1: new" in call("journey", "publish", "Welcome").out
    assert call("journey", "publish", "nobody.journey").code == 1


def test_people_and_results_are_told(call: Call, live: Factory) -> None:
    (one,) = call("journey", "people", "Welcome", "--json").json["people"]
    assert (one["member"], one["step"], one["because"]) == ("c-1", "wait-1d", "waits 1d")
    assert "waits 1d" in call("journey", "people", "Welcome").out
    assert call("journey", "people", "Welcome", "--status", "stuck", "--json").json["people"] == []
    found = call("journey", "results", "Welcome", "--json").json
    assert (found["totals"]["entered"], found["totals"]["inside"]) == (1, 1)
    told = call("journey", "results", "Welcome").out
    assert "entered    1" in told
    row = next(line for line in told.splitlines() if line.startswith("hello"))
    assert row.split()[1:7] == ["1", "1", "0", "0", "0", "1"]
    assert max(map(len, told.splitlines())) <= 100


def test_members_and_segments_are_let_in_once(
    call: Call, live: Factory, services: wiring.Services
) -> None:
    live.member(member_id="c-2", tier="elite")
    with write(services.sessions) as session:
        create_segment(
            session, services.clock, client_id=live.client_id, name="All", rule="everyone"
        )
    assert call("journey", "enrol", "Welcome").code == 2
    assert call("journey", "enrol", "Welcome", "--member", "nobody").code == 1
    assert call("journey", "enrol", "Welcome", "--member", "c-2", "--event", "[]").code == 1
    both = call("journey", "enrol", "Welcome", "--segment", "All", "--json")
    assert both.json == {"entered": 1, "left_out": 1}
    by_email = ("--member", "m1@example.com", "--key", "A-0", "--json")
    assert call("journey", "enrol", "Welcome", *by_email).json["entered"] == 1
    again = call("journey", "enrol", "Welcome", "--member", "c-1", "--key", "A-1", "--json")
    assert again.json == {"entered": 1, "left_out": 0}


def test_people_are_moved_after_a_look(call: Call, live: Factory, file: Path) -> None:
    assert "nobody is inside" in call("journey", "move", "Welcome").out
    file.write_text(TEXT.replace("wait 1d", 'tag "x"'))
    call("journey", "publish", str(file))
    seen = call("journey", "move", "Welcome", "--json").json
    assert (seen["to"], seen["people"], seen["stands"][0]["to"]) == (2, 1, None)
    look = call("journey", "move", "Welcome")
    assert (look.code, "--choose wait-1d=STEP" in look.out) == (3, True)
    ends = call("journey", "move", "Welcome", "--version", "2", "--choose", "wait-1d=")
    assert (ends.code, "ends here" in ends.out) == (0, True)
    misspelt = call("journey", "move", "Welcome", "--choose", "wiat-1d=", "--yes")
    assert (misspelt.code, "did you mean “wait-1d”?" in misspelt.err) == (1, True)
    blocked = call("journey", "move", "Welcome", "--yes")
    assert (blocked.code, "1 stand at wait-1d" in blocked.err) == (3, True)
    assert call("journey", "move", "Welcome", "--choose", "wait-1d", "--yes").code == 1
    done = call("journey", "move", "Welcome", "--choose", "wait-1d=tag-x", "--yes", "--json").json
    assert done == {"to": 2, "moved": 1, "ended": 0}
