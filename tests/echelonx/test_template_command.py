"""Mirrors echelonx/commands/template.py and campaigns/template_file.py."""

from pathlib import Path
from typing import Any

from tests.echelonx.conftest import Call

HELLO = """Subject: Hello {{ first_name | default: "there" }}

<p>Hi {{ first_name | default: "there" }}, welcome.</p>
"""


def test_a_file_becomes_a_template_and_comes_back(
    call: Call, shop: dict[str, Any], tmp_path: Path
) -> None:
    file = tmp_path / "hello.email"
    file.write_text(HELLO)
    made = call("template", "add", str(file), "--json").json
    assert (made["name"], made["channel"], made["version"]) == ("hello", "email", 1)
    assert call("template", "add", str(file), "--json").json["version"] == 1, "it says the same"

    file.write_text(call("template", "show", "hello", "--text").out)
    assert call("template", "add", str(file), "--json").json["version"] == 1
    file.write_text(HELLO.replace("welcome", "good to see you"))
    assert call("template", "add", str(file), "--json").json["version"] == 2
    told = call("template", "show", "hello", "--json").json
    assert (told["version"], told["fields"]) == (2, ["first_name"])
    assert "unsubscribe" in told["text"], "it is set into the layout"
    done = call("audit", "list", "--action", "template.", "--json").json
    assert [one["action"] for one in done] == ["template.new_version", "template.create"]


def test_templates_are_listed_and_shown_as_somebody_gets_them(
    call: Call, shop: dict[str, Any], tmp_path: Path
) -> None:
    email, text = tmp_path / "hello.email", tmp_path / "nudge.sms"
    email.write_text(HELLO)
    text.write_text("Hi {{ first_name }}, reply STOP to end\n")
    for file in (email, text):
        assert call("template", "add", str(file)).code == 0

    rows = call("template", "list", "--channel", "sms", "--json").json["templates"]
    assert [row["name"] for row in rows] == ["nudge"]
    assert "hello" in call("template", "list").out
    sample = call("template", "preview", "nudge", "--sample", '{"first_name": "Ana"}', "--json")
    assert sample.json["faces"] == {"body": "Hi Ana, reply STOP to end"}
    assert "Hello there" in call("template", "preview", "hello").out


def test_what_is_wrong_is_told(call: Call, shop: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "hello.txt"
    file.write_text("Hi")
    unknown = call("template", "add", str(file))
    assert (unknown.code, "name it gift.email" in unknown.err) == (1, True)
    assert call("template", "add", str(file), "--channel", "sms").code == 0
    other = call("template", "add", str(file), "--channel", "push")
    assert (other.code, "is for sms, not push" in other.err) == (1, True)
    missed = call("template", "show", "helo")
    assert (missed.code, "did you mean “hello”?" in missed.err) == (1, True)
    assert call("template", "preview", "hello", "--sample", "[]").code == 1
