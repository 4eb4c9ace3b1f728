"""Mirrors channels/providers/twilio.py."""

import hashlib
import json
from dataclasses import replace
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlencode

import pytest
from twilio.request_validator import RequestValidator

from channels.adapter import EventType, MalformedWebhookError, Ports, RawWebhook
from channels.channel import Channel
from channels.outcome import Accepted, Ambiguous, NotSent, Rejected
from channels.providers.twilio import Twilio
from channels.settings import ConfigError
from channels.skeleton import Face, Skeleton
from tests.channels.conformance import (
    HttpSenderConformance,
    NoHttp,
    ReceiverConformance,
    messages,
    never,
)
from tests.channels.loopback import Act, HttpServer, answer, running

TOKEN = "primary-token"
URL = "https://hooks.example.com/webhooks/twilio/t?a=ref1"


def error(code: int, status: int = 400) -> Act:
    body = {"code": code, "message": "no", "more_info": "https://x", "status": status}
    return answer(status, json.dumps(body).encode())


class TestSending(HttpSenderConformance):
    provider: ClassVar[str] = "twilio"
    ok: ClassVar[Act] = staticmethod(
        answer(201, b'{"sid": "SM1", "status": "queued", "num_segments": "0"}')
    )

    def config(self, server: HttpServer) -> dict[str, Any]:
        return {
            "account_sid": "AC1",
            "auth_token": TOKEN,
            "from_number": "+15005550001",
            "base_url": server.url,
        }

    def test_the_request_is_twilios(self) -> None:
        with running(self.server()) as server:
            self.outcome(server)
            [request] = server.requests
        assert request.path == "/2010-04-01/Accounts/AC1/Messages.json"
        assert request.headers["authorization"] == "Basic QUMxOnByaW1hcnktdG9rZW4="
        assert parse_qs(request.body.decode()) == {
            "To": ["+15005550000"],
            "From": ["+15005550001"],
            "Body": ["Hi Ana0"],
            "StatusCallback": ["https://hooks.example.com/webhooks/x/t?a=ref0"],
        }

    def test_a_messaging_service_may_choose_the_sender(self) -> None:
        with running(self.server()) as server:
            self.outcome(server, from_number=None, messaging_service_sid="MG1")
            [request] = server.requests
        form = parse_qs(request.body.decode())
        assert form["MessagingServiceSid"] == ["MG1"]
        assert "From" not in form

    def test_an_account_without_a_sender_is_refused(self) -> None:
        with running(self.server()) as server, pytest.raises(ConfigError) as caught:
            self.build(server, from_number="")
        assert caught.value.field == "from_number"

    def test_acceptance_names_the_message_and_counts_its_parts(self) -> None:
        with running(self.server()) as server:
            assert self.outcome(server) == Accepted("SM1", "queued", segments=1)

            long = Skeleton(Channel.SMS, (Face("body", ("ж" * 71,)),))
            [message] = messages(Channel.SMS)
            adapter = self.build(server)
            found = list(adapter.send([replace(message, skeleton=long, values=())], never))
            adapter.close()
        assert found == [("ref0", Accepted("SM1", "queued", segments=2))]

    @pytest.mark.parametrize("code", [21211, 21614, 21635, 30005, 30006])
    def test_a_dead_number_is_told_apart(self, code: int) -> None:
        found = self.refused(code)
        assert isinstance(found, Rejected)
        assert (found.code, found.address_invalid, found.opted_out) == (str(code), True, False)

    def test_an_opt_out_is_told_apart(self) -> None:
        found = self.refused(21610)
        assert isinstance(found, Rejected)
        assert (found.address_invalid, found.opted_out) == (False, True)

    @pytest.mark.parametrize("code", [20003, 20005, 21703, 30002, 30034])
    def test_a_refused_account_is_told_apart(self, code: int) -> None:
        found = self.refused(code)
        assert isinstance(found, Rejected)
        assert found.account_fault

    @pytest.mark.parametrize("code", [21606, 21408, 21617, 30007, 39999])
    def test_other_codes_refuse_this_message_and_blame_nobody(self, code: int) -> None:
        found = self.refused(code)
        assert isinstance(found, Rejected)
        assert found == Rejected(str(code), found.reason)

    @pytest.mark.parametrize("code", [21611, 30001, 30022, 30610])
    def test_what_twilio_refused_before_queueing_may_be_sent_again(self, code: int) -> None:
        assert isinstance(self.refused(code), NotSent)

    def test_what_twilio_itself_does_not_know_is_ambiguous(self) -> None:
        assert isinstance(self.refused(30410), Ambiguous)

    def test_a_code_beside_a_server_error_changes_nothing(self) -> None:
        with running(self.script(error(21611, 500))) as server:
            assert isinstance(self.outcome(server), Ambiguous)

    def test_the_process_environment_is_not_read(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TWILIO_EDGE", "sydney")
        monkeypatch.setenv("TWILIO_REGION", "au1")
        with running(self.server()) as server:
            assert isinstance(self.outcome(server), Accepted)

    def refused(self, code: int) -> object:
        with running(self.script(error(code))) as server:
            return self.outcome(server)


def form(**fields: str) -> bytes:
    common = {"MessageSid": "SM1", "AccountSid": "AC1", "From": "+15005550001", "To": "+15550001"}
    return urlencode(common | fields).encode()


class TestReceiving(ReceiverConformance):
    provider: ClassVar[str] = "twilio"

    def receiver_config(self) -> dict[str, Any]:
        return {"account_sid": "AC1", "auth_token": TOKEN, "from_number": "+15005550001"}

    def signed(self, body: bytes, url: str = URL) -> RawWebhook:
        fields = {
            name: values[-1]
            for name, values in parse_qs(
                body.decode(errors="replace"), keep_blank_values=True
            ).items()
        }
        signature = RequestValidator(TOKEN).compute_signature(url, fields)
        headers = {
            "x-twilio-signature": signature,
            "content-type": "application/x-www-form-urlencoded",
        }
        return RawWebhook(url, headers, body)

    def known(self) -> bytes:
        return form(MessageStatus="delivered", Blank="")

    def unknown(self) -> bytes:
        return form(MessageStatus="teleported")

    def malformed(self) -> list[bytes]:
        return [b"", b"[]", b"MessageStatus=sent", b"\xff\xfe=1", b"&".join([b"a=1"] * 1000)]

    def parse(self, **fields: str) -> Any:
        [found] = self.receiver().parse(self.signed(form(**fields)))
        return found

    def test_repeated_fields_are_signed_once_each(self) -> None:
        class Values(dict[str, list[str]]):
            getlist = dict.__getitem__

        body = b"MessageSid=SM1&MessageStatus=sent&X=2&X=1&X=2"
        fields = Values(MessageSid=["SM1"], MessageStatus=["sent"], X=["2", "1", "2"])
        signature = RequestValidator(TOKEN).compute_signature(URL, fields)
        assert self.receiver().verify(RawWebhook(URL, {"x-twilio-signature": signature}, body))

    def test_a_get_is_signed_by_its_url(self) -> None:
        url = "https://hooks.example.com/webhooks/twilio/t?MessageSid=SM1&Body=a%20b&From=%2B1"
        signature = RequestValidator(TOKEN).compute_signature(url, {})
        webhook = RawWebhook(url, {"x-twilio-signature": signature}, b"", "GET")
        assert self.receiver().verify(webhook)
        [event] = self.receiver().parse(webhook)
        assert (event.type, event.text, event.address) == (EventType.REPLIED, "a b", "+1")

    def test_a_json_request_is_signed_by_the_hash_of_its_body(self) -> None:
        body = b'{"x": "\xc3\xa9"}'
        url = URL + "&bodySHA256=" + hashlib.sha256(body).hexdigest()
        signature = RequestValidator(TOKEN).compute_signature(url, {})
        headers = {"x-twilio-signature": signature, "content-type": "application/json"}
        assert self.receiver().verify(RawWebhook(url, headers, body))
        assert not self.receiver().verify(RawWebhook(url, headers, body + b" "))
        plain = RequestValidator(TOKEN).compute_signature(URL, {})
        without = RawWebhook(URL, headers | {"x-twilio-signature": plain}, body)
        assert not self.receiver().verify(without)

    def test_the_port_may_be_signed_or_not(self) -> None:
        with_port = URL.replace(".com/", ".com:443/")
        signed = self.signed(self.known(), with_port)
        assert self.receiver().verify(RawWebhook(URL, signed.headers, signed.body))

    def test_another_token_is_not_believed(self) -> None:
        config = self.receiver_config() | {"auth_token": "secondary"}
        other = Twilio.from_config(config, Ports(http=NoHttp()))
        assert not other.verify(self.signed(self.known()))

    @pytest.mark.parametrize(
        ("status", "kind"),
        [
            ("accepted", EventType.ACCEPTED),
            ("queued", EventType.ACCEPTED),
            ("sending", EventType.SENT),
            ("sent", EventType.SENT),
            ("delivered", EventType.DELIVERED),
            ("partially_delivered", EventType.DELIVERED),
            ("read", EventType.OPENED),
            ("undelivered", EventType.UNDELIVERED),
            ("failed", EventType.UNDELIVERED),
            ("canceled", EventType.UNDELIVERED),
        ],
    )
    def test_their_words_become_ours(self, status: str, kind: EventType) -> None:
        found = self.parse(MessageStatus=status)
        assert (found.type, found.reference, found.provider_id) == (kind, "ref1", "SM1")

    def test_a_failure_says_what_it_means_for_the_number(self) -> None:
        dead = self.parse(MessageStatus="undelivered", ErrorCode="30005")
        stopped = self.parse(MessageStatus="failed", ErrorCode="21610")
        other = self.parse(MessageStatus="failed", ErrorCode="30003")
        assert (dead.address_invalid, dead.opted_out, dead.code) == (True, False, "30005")
        assert (stopped.address_invalid, stopped.opted_out) == (False, True)
        assert (other.address_invalid, other.opted_out) == (False, False)

    def test_status_and_error_make_the_key(self) -> None:
        keys = {
            self.parse(MessageStatus="sent").dedup_key,
            self.parse(MessageStatus="failed", ErrorCode="30003").dedup_key,
            self.parse(MessageStatus="failed", ErrorCode="30008").dedup_key,
        }
        assert len(keys) == 3

    def test_an_inbound_message_is_a_reply_from_its_sender(self) -> None:
        found = self.parse(SmsStatus="received", Body="Stop", From="+15557", OptOutType="STOP")
        assert found.type is EventType.REPLIED
        assert (found.address, found.text, found.reference) == ("+15557", "Stop", None)
        assert found.raw["OptOutType"] == "STOP"

    def test_an_inbound_message_may_be_empty(self) -> None:
        found = self.parse(SmsStatus="received", Body="")
        assert (found.type, found.text) == (EventType.REPLIED, "")

    def test_a_request_that_names_no_message_is_refused(self) -> None:
        with pytest.raises(MalformedWebhookError):
            self.receiver().parse(self.signed(b"AccountSid=AC1"))
