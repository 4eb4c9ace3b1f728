"""Mirrors webhooks/tracking.py."""

import pytest

from communications.communication import Communication
from communications.event import CommunicationEvent
from communications.status import Status
from members.consent import Consent, ConsentState, CurrentConsent
from members.suppression import Suppression
from webhooks.click import Click

PERSON = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0"}
AGENTS = [
    "",
    "Mozilla/5.0",
    "Mimecast-URL-Protect",
    "BarracudaSentinel",
    "Proofpoint URL Defense",
    "Googlebot/2.1",
    "Slackbot-LinkExpanding 1.0",
    "curl/8.5",
    "HeadlessChrome/141",
    PERSON["User-Agent"],
]
VERSION = 7


@pytest.fixture
def message(make):
    make.link(VERSION, 0, "https://shop.example/gift?x=1")
    make.link(VERSION, 1, "https://shop.example/{{ member.attributes.city }}")
    return make.message(template_version_id=VERSION, merge={"attributes.city": "Bonn"})


@pytest.fixture
def path(desk):
    """The path of a public link, as the app behind the proxy sees it."""

    def of(kind: str, *args: int) -> str:
        url = getattr(desk.urls, kind)(*args)
        return url.removeprefix("https://mail.example.org/in")

    return of


@pytest.fixture
def status(sessions):
    def read(message: int) -> Status:
        with sessions() as session:
            return session.get_one(Communication, message).status

    return read


@pytest.fixture
def snapshot(all_rows):
    """Everything a public link could change."""

    def read():
        tables = (Suppression, Consent, CurrentConsent, CommunicationEvent, Click, Communication)
        return [
            [{k: v for k, v in vars(row).items() if k[0] != "_"} for row in all_rows(table)]
            for table in tables
        ]

    return read


def flipped(link: str):
    """The same link with one bit of its token wrong, at every place, and cut short."""
    head, _, tail = link.rpartition("/")
    token, dot, ending = tail.partition(".")
    for place in range(len(token)):
        for bit in (1, 2, 32):
            wrong = chr(ord(token[place]) ^ bit)
            if wrong.isprintable() and wrong not in "/?#%":
                yield f"{head}/{token[:place]}{wrong}{token[place + 1 :]}{dot}{ending}"
    yield f"{head}/{token[:-1]}{dot}{ending}"
    yield f"{head}/{token}A{dot}{ending}"


class TestClick:
    def test_a_click_leads_to_the_stored_link_and_becomes_a_fact(
        self, web, work, clock, message, path, status
    ):
        answer = web.get(path("click", message, 0), headers=PERSON)
        clock.advance(seconds=3)
        work()

        assert (answer.status_code, answer.location) == (302, "https://shop.example/gift?x=1")
        assert status(message) is Status.CLICKED

    def test_a_link_is_filled_with_the_messages_values(self, web, message, path):
        answer = web.get(path("click", message, 1), headers=PERSON)
        assert answer.location == "https://shop.example/Bonn"

    def test_nothing_in_the_request_has_a_say_in_where_it_goes(self, web, message, path):
        """B065."""
        link = path("click", message, 0)
        answer = web.get(f"{link}?u=//evil.example&url=https://evil", headers={"Host": "evil"})
        assert answer.location == "https://shop.example/gift?x=1"

    @pytest.mark.parametrize("agent", [name for name in AGENTS[:-1] if name != "Mozilla/5.0"])
    def test_a_scanners_click_raises_nothing(
        self, web, work, clock, message, path, status, all_rows, agent
    ):
        web.get(path("click", message, 0), headers={"User-Agent": agent})
        clock.advance(seconds=3)
        work()
        assert [event.machine for event in all_rows(CommunicationEvent)] == [True]
        assert status(message) is Status.SENT

    def test_a_head_request_is_a_machines(self, web, work, clock, message, path, status):
        answer = web.head(path("click", message, 0), headers=PERSON)
        clock.advance(seconds=3)
        work()
        assert answer.status_code == 302
        assert status(message) is Status.SENT

    def test_a_link_the_template_does_not_have_is_not_found(self, web, message, path):
        """B065."""
        assert web.get(path("click", message, 2)).status_code == 404

    def test_another_clients_link_is_not_found(self, web, make, sessions, clock, path):
        foreign = make.message(template_version_id=VERSION + 1)
        other = make.another_client()
        other.link(VERSION + 1, 0, "https://evil.example")
        assert web.get(path("click", foreign, 0)).status_code == 404

    def test_a_stored_link_of_another_scheme_is_not_followed(self, web, make, message, path):
        """B019."""
        make.link(VERSION, 9, "javascript:alert(1)")
        assert web.get(path("click", message, 9)).status_code == 404


class TestOpen:
    def test_an_open_is_a_read(self, web, message, path, status):
        answer = web.get(path("open", message), headers=PERSON)
        assert (answer.status_code, answer.mimetype, len(answer.data)) == (200, "image/gif", 43)
        assert answer.data.startswith(b"GIF89a")
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
        assert status(message) is Status.READ

    def test_two_opens_are_one_fact(self, web, message, path, all_rows):
        for _ in range(3):
            web.get(path("open", message), headers=PERSON)
        assert len(all_rows(CommunicationEvent)) == 1

    @pytest.mark.parametrize("agent", AGENTS[:-1])
    def test_a_machines_open_is_no_read(self, web, message, path, status, all_rows, agent):
        answer = web.get(path("open", message), headers={"User-Agent": agent})
        assert len(answer.data) == 43
        assert [event.machine for event in all_rows(CommunicationEvent)] == [True]
        assert status(message) is Status.SENT

    def test_a_person_after_a_machine_is_a_read(self, web, message, path, status):
        web.get(path("open", message), headers={"User-Agent": "Mozilla/5.0"})
        web.get(path("open", message), headers=PERSON)
        assert status(message) is Status.READ


class TestUnsubscribePage:
    def test_it_says_who_what_and_whom_and_has_one_button(self, web, message, path):
        """B062: without a script, only a press of the button posts."""
        html = web.get(path("unsubscribe", message)).text
        assert "Elevate" in html
        assert "marketing emails" in html
        assert "m***@e***.com" in html
        assert html.count("<button") == html.count("<form") == 1
        assert "<script" not in html

    @pytest.mark.parametrize("agent", AGENTS)
    def test_no_get_and_no_head_changes_anything(self, web, message, path, snapshot, agent):
        """B061."""
        before = snapshot()
        for method in (web.get, web.head):
            answer = method(path("unsubscribe", message), headers={"User-Agent": agent})
            assert answer.status_code == 200
        assert snapshot() == before

    def test_a_clients_name_is_text(self, web, make, message, path):
        """B016."""
        make.rename('<img src=x onerror="alert(1)">')
        html = web.get(path("unsubscribe", message)).text
        assert "<img" not in html
        assert "&lt;img" in html

    def test_the_button_stops_marketing_and_says_so(self, web, message, path, all_rows):
        answer = web.post(path("unsubscribe", message))
        assert answer.status_code == 200
        assert "You will get no more marketing emails" in answer.text
        assert [row.scope for row in all_rows(Suppression)] == ["marketing"]
        assert [row.state for row in all_rows(CurrentConsent)] == [ConsentState.WITHDRAWN]


@pytest.mark.parametrize(
    "answer_to", ["click", "open", "unsubscribe"], ids=["click", "open", "unsubscribe"]
)
class TestEveryLink:
    def args(self, kind: str, message: int) -> tuple[int, ...]:
        return (message, 0) if kind == "click" else (message,)

    def test_what_we_did_not_make_gets_one_answer_and_does_nothing(
        self, web, desk, message, path, snapshot, answer_to
    ):
        """B060: every bit, cut, longer, of a message that is not there."""
        good = path(answer_to, *self.args(answer_to, message))
        absent = path(answer_to, *self.args(answer_to, 10**12))
        before = snapshot()
        answers = {
            (answer.status_code, answer.data)
            for link in (*flipped(good), absent)
            for answer in (web.get(link), web.post(link) if answer_to == "unsubscribe" else None)
            if answer is not None
        }
        assert [status for status, _ in answers] == [404]
        assert snapshot() == before

    def test_a_token_of_another_purpose_is_not_ours(
        self, web, desk, message, path, snapshot, answer_to
    ):
        """B060."""
        before = snapshot()
        template = path(answer_to, *self.args(answer_to, message))
        head, _, tail = template.rpartition("/")
        ending = ".gif" if tail.endswith(".gif") else ""
        for purpose, numbers in (
            ("attempt", (message, 1)),
            ("click", (message, 0)),
            ("open", (message,)),
            ("unsubscribe", (message,)),
        ):
            if purpose != answer_to:
                link = f"{head}/{desk.signer.sign(purpose, *numbers)}{ending}"
                assert web.get(link).status_code == 404
        assert snapshot() == before

    def test_its_token_travels_no_further(self, web, message, path, answer_to):
        """B069."""
        for link in (
            path(answer_to, *self.args(answer_to, message)),
            path(answer_to, *self.args(answer_to, 10**12)),
        ):
            headers = web.get(link).headers
            assert headers["Referrer-Policy"] == "no-referrer"
            assert "noindex" in headers["X-Robots-Tag"]
            assert headers["Cache-Control"] == "no-store"
            assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
            assert "Set-Cookie" not in headers

    def test_a_database_that_is_away_is_503_with_a_time(
        self, web, message, path, answer_to, without_tables
    ):
        link = path(answer_to, *self.args(answer_to, message))
        without_tables()
        answer = web.get(link)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")


def test_a_huge_form_is_refused(web, message, path, snapshot):
    before = snapshot()
    answer = web.post(path("unsubscribe", message), data={"x": "y" * 20_000})
    assert answer.status_code == 413
    assert snapshot() == before
