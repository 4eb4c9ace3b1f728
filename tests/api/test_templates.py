"""Mirrors api/templates.py."""

from tests.api.caller import Caller, pointers, refused, remedies
from tests.api.test_providers import SMTP

EMAIL = {
    "name": "Gift",
    "channel": "email",
    "subject": "{{ member.first_name | default: 'Hello' }}",
    "html": '<p>From {{ member.attributes.city }} <a href="https://shop.example/x">Look</a> '
    '<a href="{{ unsubscribe_url }}">Leave</a></p>',
}
SMS = {"name": "Text", "channel": "sms", "text": "Hello {{ first_name }}"}


def test_a_template_has_its_first_wording(api: Caller) -> None:
    made = api.post("/templates", EMAIL)

    assert made["version"]["number"] == 1
    assert made["version"]["html"] == EMAIL["html"]
    assert "Look" in made["version"]["text"]
    assert set(made["version"]["fields_used"]) == {"first_name", "attributes.city"}
    assert api.get(f"/templates/{made['id']}") == made


def test_a_wording_is_changed_by_a_new_version(api: Caller) -> None:
    made = api.post("/templates", SMS)

    after = api.post(f"/templates/{made['id']}/versions", {"text": "Hi"})

    assert after["version"]["number"] == 2
    versions = api.get(f"/templates/{made['id']}/versions")["data"]
    assert [(one["number"], one["text"]) for one in versions] == [(2, "Hi"), (1, SMS["text"])]


def test_an_unknown_variable_is_refused_with_its_place_and_the_nearest(api: Caller) -> None:
    wrong = {**SMS, "text": "Hello\n {{ frist_name }}"}

    for path in ("/templates", f"/templates/{api.post('/templates', EMAIL)['id']}/versions"):
        body = wrong if path == "/templates" else {"subject": "x", "text": wrong["text"]}
        problem = refused(api.ask("POST", path, body), 422)
        error = problem["errors"][0]
        assert error["pointer"] == "/text"
        assert error["line"] == 2
        assert "first_name" in remedies(problem)


def test_what_a_channel_needs_is_asked_for(api: Caller) -> None:
    for body in ({**EMAIL, "subject": None}, {**EMAIL, "html": None}, {**SMS, "text": None}):
        refused(api.ask("POST", "/templates", body), 422)


def test_a_taken_name_is_a_conflict(api: Caller) -> None:
    api.post("/templates", SMS)

    assert pointers(refused(api.ask("POST", "/templates", SMS), 409)) == {"/name"}


def test_a_template_gets_another_name(api: Caller) -> None:
    made, other = api.post("/templates", SMS), api.post("/templates", EMAIL)
    path = f"/templates/{made['id']}"

    renamed = api.patch(path, {"name": " Greeting "})

    assert (renamed["name"], renamed["version"]) == ("Greeting", made["version"])
    assert api.get(path) == renamed
    assert pointers(refused(api.ask("PATCH", path, {"name": other["name"]}), 409)) == {"/name"}
    for wrong in ({}, {"name": " "}, {"channel": "email"}):
        refused(api.ask("PATCH", path, wrong), 422)


def test_a_template_that_a_journey_sends_keeps_its_name(api: Caller) -> None:
    made = api.post("/templates", EMAIL)
    api.post("/providers", SMTP)
    text = 'journey "J"\n  when asked\n  send email "Gift"\n'
    journey = api.post("/journeys", {"text": text})
    path = f"/templates/{made['id']}"
    assert api.patch(path, {"name": "Box"})["name"] == "Box"
    api.patch(path, {"name": "Gift"})
    api.post(f"/journeys/{journey['id']}/publish")

    problem = refused(api.ask("PATCH", path, {"name": "Box"}), 409)

    assert (pointers(problem), "“J”" in problem["detail"]) == ({"/name"}, True)
    assert api.patch(path, {"name": "Gift"})["name"] == "Gift"


def test_templates_are_listed_by_channel(api: Caller) -> None:
    api.post("/templates", EMAIL)
    sms = api.post("/templates", SMS)

    assert api.get("/templates", channel="sms")["data"] == [sms]
    refused(api.ask("GET", "/templates", channel="fax"), 422)


def test_a_preview_is_what_a_member_would_get(api: Caller) -> None:
    made = api.post("/templates", EMAIL)
    ana = api.post("/members", {"first_name": "Ana & Co", "attributes": {"city": "<Berlin>"}})

    faces = api.post(f"/templates/{made['id']}/preview", {"member_id": ana["id"]})["faces"]

    assert faces["subject"] == "Ana & Co"
    assert "&lt;Berlin&gt;" in faces["html"]
    assert 'href="https://shop.example/x"' in faces["html"]


def test_a_preview_takes_values_to_try(api: Caller) -> None:
    made = api.post("/templates", EMAIL)
    path = f"/templates/{made['id']}/preview"

    assert api.post(path, {"sample": {"first_name": "Bo"}})["faces"]["subject"] == "Bo"
    assert api.post(path, {})["faces"]["subject"] == "Hello"


def test_a_preview_needs_values_that_fit(api: Caller) -> None:
    made = api.post("/templates", SMS)
    path = f"/templates/{made['id']}/preview"

    for body, pointer in (
        ({"member_id": 1, "sample": {}}, "/sample"),
        ({"sample": {"first_name": {"a": 1}}}, "/sample/first_name"),
        ({"member_id": "1"}, "/member_id"),
    ):
        assert pointers(refused(api.ask("POST", path, body), 422)) == {pointer}
    refused(api.ask("POST", path, {"member_id": 7}), 404)
