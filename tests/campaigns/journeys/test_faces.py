"""Mirrors campaigns/journeys/faces.py: a journey as it is shown."""

import pytest

from campaigns.journeys.errors import JourneyError
from campaigns.journeys.faces import faces
from campaigns.journeys.json import from_json
from campaigns.journeys.text import parse

TEXT = """journey "Faces"
  when asked
  stage Hook
    wait until event joined or 3d
      then
        tag "joined"
      else
        go to nudge at most 2 times
    send sms   "a" as nudge
"""


def test_every_face_says_the_same() -> None:
    found = faces(TEXT)
    assert from_json(dict(found.journey)) == parse(found.text) == parse(TEXT)
    assert "send sms   " not in found.text
    assert found.summary.startswith("4 steps")


def test_steps_have_lines_of_the_text_and_say_where_their_ways_lead() -> None:
    told = [(one.key, one.does, one.line, one.ways) for one in faces(TEXT).steps]
    assert told == [
        ("stage-hook", "stage", 3, {"next": "wait-for-joined"}),
        ("wait-for-joined", "wait for", 4, {"next": "tag-joined", "timeout": "go-to-nudge"}),
        ("tag-joined", "tag", 6, {"next": "nudge"}),
        ("go-to-nudge", "go to", 8, {"back": "nudge", "next": "nudge"}),
        ("nudge", "send", 9, {"next": None}),
    ]
    assert {one.stage for one in faces(TEXT).steps} == {"Hook"}


def test_what_is_wrong_has_its_place() -> None:
    (one,) = [found for found in faces(TEXT).findings if found.code == "no_fallback"]
    assert (one.step, one.line) == ("nudge", 9)
    with pytest.raises(JourneyError):
        faces("journey")


def test_steps_that_cannot_be_told_apart_are_not_shown() -> None:
    found = faces('journey "J"\n  when asked\n  wait 1d as x\n  wait 2d as x\n')
    assert list(found.steps) == []
    assert "name_twice" in {one.code for one in found.findings}
