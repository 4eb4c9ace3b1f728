"""Mirrors api/communications.py."""

from channels.channel import Channel
from communications.communication import Reason
from communications.status import Status
from core.clock import ManualClock
from tests.api.caller import Caller, pointers, refused
from tests.factories import Factory


def test_the_log_shows_the_source_documents_fields(api: Caller, make: Factory) -> None:
    account = make.account("sendgrid", Channel.EMAIL, {})
    mail = make.message(provider_account_id=account, provider_id="sg-1", tries=2)
    text = make.message(channel="sms")

    newest, oldest = api.get("/communications")["data"]

    assert (newest["id"], oldest["id"]) == (text, mail)
    assert (oldest["to_email"], oldest["to_number"]) == (
        f"m{oldest['member_id']}@example.com",
        None,
    )
    assert newest["to_email"] is None
    assert newest["to_number"].startswith("+1201555")
    assert (oldest["provider"], oldest["provider_id"], oldest["retry_count"]) == (
        "sendgrid", "sg-1", 1,
    )  # fmt: skip
    assert (oldest["status"], oldest["direction"], oldest["message_type"]) == (
        "sent", "outbound", "marketing",
    )  # fmt: skip
    assert "address_hash" not in oldest
    assert "token" not in oldest


def test_the_log_can_be_filtered(api: Caller, make: Factory) -> None:
    ana = make.member()
    skipped = {"status": Status.SKIPPED, "reason": Reason.NO_ADDRESS, "rank": 0, "sent_at": None}
    first = make.message(ana, campaign_id=5, run_id=7, **skipped)
    second = make.message(channel="sms", campaign_id=6)

    def ids(**chosen: object) -> list[int]:
        return [row["id"] for row in api.get("/communications", **chosen)["data"]]

    assert ids() == [second, first]
    assert ids(member_id=ana) == ids(campaign_id=5) == ids(run_id=7) == [first]
    assert ids(status="skipped") == ids(reason="no_address") == [first]
    assert ids(channel="sms") == ids(campaign_id=6, status="sent") == [second]
    assert ids(channel="sms", member_id=ana) == []


def test_the_log_of_a_time_a_provider_or_an_error_goes_page_by_page(
    api: Caller, make: Factory, clock: ManualClock
) -> None:
    first, second = (make.account("twilio", Channel.SMS, {}) for _ in "12")
    failed = {"status": Status.FAILED, "reason": Reason.REJECTED, "error_code": "30003"}
    made = []
    times = []
    for number in range(6):
        times.append(clock.now().isoformat())
        account = second if number % 2 else first
        extra = failed if number > 2 else {}
        made.append(make.message(channel="sms", provider_account_id=account, **extra))
        clock.advance(hours=1)

    def ids(**asked: object) -> list[int]:
        seen: list[int] = []
        cursor: dict[str, str] = {}
        while True:
            page = api.get("/communications", limit=1, **asked, **cursor)
            seen += [row["id"] for row in page["data"]]
            if page["next_cursor"] is None:
                return seen
            cursor = {"cursor": page["next_cursor"]}

    assert ids(created_since=times[1], created_until=times[3]) == [made[2], made[1]]
    assert ids(created_until=times[2], sort="created_at") == made[:2]
    assert ids(error_code="30003") == made[:2:-1]
    assert ids(error_code="30003", created_since=times[4]) == [made[5], made[4]]
    assert ids(provider_account_id=second) == made[5::-2]
    assert ids(provider="twilio", created_until=times[1]) == [made[0]]
    assert ids(provider="sendgrid") == ids(error_code="21610") == []


def test_filters_that_mean_nothing_are_refused(api: Caller) -> None:
    for name, value in {
        "member_id": "ana",
        "run_id": "-1",
        "campaign_id": str(2**63),
        "channel": "fax",
        "status": "lost",
        "reason": "because",
        "provider_account_id": "-1",
        "created_since": "2026-11-21",
    }.items():
        answer = api.ask("GET", "/communications", **{name: value})
        assert pointers(refused(answer, 422)) == {f"query:/{name}"}


def test_one_message_tells_its_story(api: Caller, make: Factory, clock: ManualClock) -> None:
    ana = make.member()
    template = api.post(
        "/templates", {"name": "T", "channel": "sms", "text": "Hi {{ first_name }}"}
    )
    made = make.message(
        ana, channel="sms", template_version_id=template["id"], merge={"first_name": "Ana"}
    )

    story = api.get(f"/communications/{made}")

    assert list(story["content"].values()) == ["Hi Ana"]
    assert [moment["what"] for moment in story["timeline"]] == ["decided", "sent"]


def test_a_message_says_who_kept_it_waiting(api: Caller, make: Factory, clock: ManualClock) -> None:
    account = make.account("twilio", Channel.SMS, {})
    queued = {"status": Status.QUEUED, "rank": 0, "sent_at": None}
    made = make.message(channel="sms", provider_account_id=account, content="Hi", **queued)
    api.post(f"/providers/{account}/pause")
    clock.advance(hours=7)

    last = api.get(f"/communications/{made}")["timeline"][-1]

    assert (last["what"], last["told_at"], last["ahead_seconds"]) == ("waiting", None, None)
    (wait,) = last["waits"]
    assert wait["seconds"] == 7 * 3600
    assert wait["why"].startswith("the provider account paused by key:")


def test_a_single_text_is_shown_as_it_was(api: Caller, make: Factory) -> None:
    made = make.message(channel="sms", content="STOP", subject=None)

    assert api.get(f"/communications/{made}")["content"]["text"] == "STOP"


def test_a_message_that_does_not_exist_is_404(api: Caller) -> None:
    refused(api.ask("GET", "/communications/7"), 404)
    refused(api.ask("GET", "/communications/0"), 404)
    refused(api.ask("GET", f"/communications/{2**63}"), 404)


SMS = {"channel": "sms", "text": "Your code is 1234"}


def test_a_message_to_one_member_is_written_once(api: Caller, make: Factory) -> None:
    account = make.account("twilio", Channel.SMS, {})
    ana = make.member()
    make.address(ana, "sms", "+12015550101")
    body = {"member_id": ana, "key": "login-1", **SMS}

    first = api.ask("POST", "/communications", body)
    again = api.ask("POST", "/communications", body)

    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json["outcome"] == "created"
    assert again.json == {**first.json, "outcome": "duplicate"}
    assert (first.json["status"], first.json["to_number"]) == ("queued", "+12015550101")
    assert first.json["provider_account_id"] == account
    assert api.get(f"/communications/{first.json['id']}")["content"] == {
        "subject": "", "text": SMS["text"],
    }  # fmt: skip
    nobody = {**SMS, "member_id": make.member()}
    skipped = api.post("/communications", nobody)
    assert (skipped["status"], skipped["reason"]) == ("skipped", "no_address")
    refused(api.ask("POST", "/communications", {**SMS, "member_id": 10**6}), 404)


def test_many_messages_are_written_at_once_and_each_has_its_answer(
    api: Caller, make: Factory
) -> None:
    make.account("twilio", Channel.SMS, {})
    ana = make.member()
    make.address(ana, "sms", "+12015550101")
    good = [{"member_id": ana, "key": f"k{number}", **SMS} for number in range(300)]
    bad = [{"member_id": "ana", **SMS}, {"member_id": ana, "channel": "fax"}, {"member_id": ana}]

    told = api.post("/communications/batch", {"messages": [good[0], *bad, *good]})

    assert (told["created"], told["duplicates"], told["rejected"]) == (300, 1, 3)
    results = told["results"]
    assert [one["index"] for one in results] == list(range(304))
    assert [one["outcome"] for one in results[:5]] == ["created", *["rejected"] * 3, "duplicate"]
    errors = [one["error"] for one in results[1:4]]
    assert [one["pointer"] for one in errors] == [
        "/messages/1/member_id", "/messages/2/channel", "/messages/3/channel",
    ]  # fmt: skip
    assert all(one["code"] == "invalid" and one["detail"] and one["remedy"] for one in errors)
    assert results[4]["communication_id"] == results[0]["communication_id"]
    assert len({one["communication_id"] for one in results}) == 301
