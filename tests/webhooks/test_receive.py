"""Mirrors webhooks/receive.py."""

import base64
import gzip
import io
import json
import threading
from urllib.parse import parse_qsl

import pytest

from channels.channel import Channel
from communications.event import CommunicationEvent
from members.suppression import Suppression
from webhooks.inbox import InboxItem
from webhooks.receive import MAX_BODY, MAX_EVENTS

DELIVERED = {"event": "delivered", "sg_event_id": "e1", "timestamp": 1795262400, "email": "a@b.co"}


@pytest.fixture
def stored(all_rows):
    return lambda: len(all_rows(InboxItem))


class TestStoring:
    def test_a_signed_request_is_stored_and_the_bell_rings(self, sendgrid, desk, stored):
        answer = sendgrid.post(DELIVERED)
        assert (answer.status_code, answer.data) == (204, b"")
        assert (stored(), desk.bell.times) == (1, 1)

    def test_the_same_request_again_is_welcome_and_counted(self, sendgrid, desk, all_rows):
        assert [sendgrid.post(DELIVERED).status_code for _ in range(3)] == [204] * 3
        [item] = all_rows(InboxItem)
        assert (item.repeats, desk.bell.times) == (2, 1)

    def test_a_database_that_is_away_is_503_with_a_time(self, sendgrid, desk, without_tables):
        without_tables()
        answer = sendgrid.post(DELIVERED)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")
        assert desk.bell.times == 0

    def test_nothing_is_acknowledged_that_was_not_written(self, sendgrid, desk, stored, fail_on):
        fail_on("INSERT INTO inbox")
        assert sendgrid.post(DELIVERED).status_code == 503
        assert (stored(), desk.bell.times) == (0, 0)

    def test_a_replay_days_later_is_counted_and_does_nothing(
        self, sendgrid, twilio, fcm, clock, desk, all_rows, work
    ):
        """B026, for those whose own retries are as old as that: it is deduplicated."""
        ack = {"reference": "x", "event": "delivered", "at": "2026-11-21T12:00:00Z"}
        posts = (
            lambda: sendgrid.post(DELIVERED),
            lambda: twilio.inbound("+12015550123", "STOP"),
            lambda: fcm.post([ack]),
        )
        first = [post().status_code for post in posts]
        work()
        before = [len(all_rows(kind)) for kind in (InboxItem, Suppression, CommunicationEvent)]
        clock.advance(days=2)

        assert [post().status_code for post in posts] == first
        work()
        assert [len(all_rows(kind)) for kind in (InboxItem, Suppression, CommunicationEvent)] == (
            before
        )
        assert [item.repeats for item in all_rows(InboxItem)] == [1, 1, 1]

    def test_twilio_gets_twiml_that_sends_nothing(self, twilio):
        answer = twilio.inbound("+12015550123", "hello")
        assert (answer.status_code, answer.mimetype) == (200, "text/xml")
        assert answer.data.endswith(b"<Response/>")

    def test_twilio_may_get(self, twilio, stored):
        answer = twilio.get(MessageSid="SM1", From="+12015550123", Body="hi", SmsStatus="received")
        assert (answer.status_code, stored()) == (200, 1)

    def test_at_once_is_once(self, sendgrid, app, all_rows):
        body = json.dumps([DELIVERED]).encode()
        headers = sendgrid.headers(body)
        answers: list[int] = []

        def post() -> None:
            answers.append(
                app.test_client().post(sendgrid.path, data=body, headers=headers).status_code
            )

        threads = [threading.Thread(target=post) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert answers == [204] * 8
        [item] = all_rows(InboxItem)
        assert item.repeats == 7


class TestForgery:
    def test_no_signature_no_entry(self, sendgrid, twilio, fcm, web, stored):
        """B025: at every provider."""
        for provider in (sendgrid, twilio, fcm):
            assert web.post(provider.path, data=b"[]").status_code == 403
        assert stored() == 0

    @pytest.mark.parametrize(
        "signature", ["", "x", "=", "é", "A" * 5000, base64.b64encode(b"\x30\x06").decode()]
    )
    def test_a_wrong_signature_is_403(self, sendgrid, twilio, fcm, web, stored, signature):
        """B025."""
        header = signature.encode("utf-8").decode("latin-1")
        for provider, name in (
            (sendgrid, "X-Twilio-Email-Event-Webhook-Signature"),
            (twilio, "X-Twilio-Signature"),
            (fcm, "X-EchelonX-Signature"),
        ):
            headers = {name: header, "X-Twilio-Email-Event-Webhook-Timestamp": "1"}
            assert web.post(provider.path, data=b"[]", headers=headers).status_code == 403
        assert stored() == 0

    def test_a_signature_of_another_tenant_is_403(self, make, sendgrid, web, stored):
        """B025."""
        theirs = type(sendgrid)(make.another_client(), web)
        body = json.dumps([DELIVERED]).encode()
        answer = web.post(sendgrid.path, data=body, headers=theirs.headers(body))
        assert (answer.status_code, stored()) == (403, 0)

    @pytest.mark.parametrize(
        "alter",
        [
            lambda body: body[:-1] + b"x",
            lambda body: body.strip(),
            lambda body: json.dumps(json.loads(body), indent=1).encode(),
            lambda body: body.decode().encode("utf-16"),
            lambda body: b"\xef\xbb\xbf" + body,
            lambda body: b"",
        ],
    )
    def test_a_body_altered_by_a_byte_is_403(self, sendgrid, web, stored, alter):
        """B027."""
        body = json.dumps([DELIVERED]).encode() + b"\r\n"
        answer = web.post(sendgrid.path, data=alter(body), headers=sendgrid.headers(body))
        assert (answer.status_code, stored()) == (403, 0)

    def test_an_account_without_a_key_believes_nobody(self, make, web, sendgrid, stored):
        """B025: the secret is unset."""
        config = {"api_key": "SG.x", "from_email": "a@b.co"}
        account = make.account("sendgrid", Channel.EMAIL, config, token="unset-token-0123456789")
        assert account
        body = json.dumps([DELIVERED]).encode()
        answer = web.post(
            "/webhooks/sendgrid/unset-token-0123456789",
            data=body,
            headers=sendgrid.headers(body),
        )
        assert (answer.status_code, stored()) == (403, 0)

    def test_an_account_whose_settings_do_not_open_believes_nobody(self, make, web, stored):
        make.account("sendgrid", Channel.EMAIL, {}, token="sealed-token-0123456789", config=b"x")
        answer = web.post("/webhooks/sendgrid/sealed-token-0123456789", data=b"[]")
        assert (answer.status_code, stored()) == (403, 0)

    def test_the_host_header_has_no_say(self, twilio, web, stored):
        form = "Body=hi&From=%2B12015550123&MessageSid=SM1"
        fields = {"Body": "hi", "From": "+12015550123", "MessageSid": "SM1"}
        evil = twilio.signature(f"https://evil.example{twilio.path}", fields)
        answer = web.post(
            twilio.path,
            data=form,
            content_type="application/x-www-form-urlencoded",
            headers={
                "Host": "evil.example",
                "X-Forwarded-Host": "evil.example",
                "X-Forwarded-Proto": "https",
                "X-Twilio-Signature": evil,
            },
        )
        assert (answer.status_code, stored()) == (403, 0)

    def test_the_query_string_is_signed_as_it_came(self, twilio, web, stored):
        for query in ("?a=x%2By&b=%20", "?a=x%2by", "?a=x+y", "?b=&a=%E2%82%AC"):
            answer = twilio.post(query, MessageSid="SM1", MessageStatus="sent")
            assert answer.status_code == 200
        altered = web.post(
            f"{twilio.path}?a=x%2By",
            data={"MessageSid": "SM1", "MessageStatus": "sent"},
            headers={
                "X-Twilio-Signature": twilio.signature(
                    f"https://mail.example.org/in{twilio.path}?a=x+y",
                    {"MessageSid": "SM1", "MessageStatus": "sent"},
                )
            },
        )
        assert (altered.status_code, stored()) == (403, 4)


class TestUnknownAccounts:
    def test_they_all_get_the_same_answer(self, sendgrid, web, make, stored):
        make.account("smtp", Channel.EMAIL, {}, token="smtp-token-0123456789")
        answers = {
            (answer.status_code, answer.data, answer.headers["Content-Type"])
            for path in (
                "/webhooks/sendgrid/" + "x" * 43,
                f"/webhooks/fcm/{sendgrid.token}",
                f"/webhooks/nosuch/{sendgrid.token}",
                "/webhooks/smtp/smtp-token-0123456789",
                "/webhooks/sendgrid/short",
                "/webhooks/sendgrid/" + "x" * 4000,
                f"/webhooks/sendgrid/{sendgrid.token}%00",
                f"/webhooks/sendgrid/{sendgrid.token[:-1]}%F0%9F%92%A9",
                "/webhooks/sendgrid/%27%20OR%201=1--xxxxxxxxxx",
            )
            for answer in (web.post(path, data=b"[]"),)
        }
        assert [answer[:2] for answer in answers] == [(404, b"")]
        assert stored() == 0


class TestShape:
    def test_methods_a_provider_does_not_use_are_405(self, sendgrid, web, stored):
        for method in (web.get, web.head):
            answer = method(sendgrid.path)
            assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
        assert web.put(sendgrid.path).status_code == 405
        assert web.delete(sendgrid.path).status_code == 405
        assert stored() == 0

    def test_head_is_405_for_twilio_too(self, twilio, web):
        assert web.head(twilio.path).status_code == 405

    def test_more_than_a_mebibyte_is_413(self, sendgrid, web, stored):
        """B028."""
        body = b"[" + b" " * (MAX_BODY - 1) + b"]"
        assert sendgrid.post_bytes(body).status_code == 413
        assert stored() == 0

    def test_a_mebibyte_is_not_too_much(self, sendgrid, stored):
        body = b"[" + b" " * (MAX_BODY - 2) + b"]"
        assert sendgrid.post_bytes(body).status_code == 204
        assert stored() == 1

    def test_a_body_of_untold_length_is_cut_while_reading(self, sendgrid, web, stored):
        endless = io.BytesIO(b"x" * (MAX_BODY + 2))
        answer = web.post(
            sendgrid.path,
            input_stream=endless,
            environ_overrides={"wsgi.input_terminated": True},
            headers=sendgrid.headers(b""),
        )
        assert (answer.status_code, stored()) == (413, 0)
        assert endless.tell() <= MAX_BODY + 1

    def test_a_bomb_is_not_unpacked(self, sendgrid, web, stored):
        """B028."""
        body = gzip.compress(b"[" + b" " * 50_000_000 + b"]")
        answer = sendgrid.post_bytes(body, **{"Content-Encoding": "gzip"})
        assert (answer.status_code, stored()) == (415, 0)

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"{}",
            b"null",
            b"1e400",
            b"[" * 10_000,
            b"[" * 10_000 + b"]" * 10_000,
            b'{"a":' * 10_000,
            b"[" + b"{}," * (MAX_EVENTS + 1) + b"{}]",
            b"not json",
            b'[{"event": "open",}]',
        ],
        ids=lambda body: repr(body[:12]),
    )
    def test_signed_nonsense_is_400_and_not_kept(self, sendgrid, stored, body):
        """B028."""
        assert sendgrid.post_bytes(body).status_code == 400
        assert stored() == 0

    @pytest.mark.parametrize(
        "form", ["a=" + "&b=" * 2000, "%ff=%fe", "MessageSid=SM1&MessageStatus=%00%ed%a0%80"]
    )
    def test_odd_forms_are_never_a_server_error(self, twilio, web, form):
        pairs = dict(parse_qsl(form, keep_blank_values=True))
        url = f"https://mail.example.org/in{twilio.path}"
        answer = web.post(
            twilio.path,
            data=form,
            content_type="application/x-www-form-urlencoded",
            headers={"X-Twilio-Signature": twilio.signature(url, pairs)},
        )
        assert answer.status_code in (200, 400, 403)
