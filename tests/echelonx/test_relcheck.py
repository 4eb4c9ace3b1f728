"""Mirrors echelonx/relcheck/: every oracle is shown a log that breaks its promise, and says no."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from campaigns.campaign import create_campaign
from campaigns.run import Run, RunStatus
from channels.channel import Channel
from communications.communication import Communication, MessageType, Reason
from communications.event import CommunicationEvent, EventState
from communications.status import Rank, Status
from core.clock import ManualClock
from core.db import Sessions, read, write
from core.settings import Settings
from echelonx import wiring
from echelonx.relcheck.check import check
from echelonx.relcheck.providerlog import ProviderLogError
from members.suppression import Scope, Suppression, SuppressionReason
from tests.echelonx.conftest import Call
from tests.factories import Factory

Judge = Callable[..., dict[str, Any]]


class Bench:
    """A log of both sides, written by hand."""

    def __init__(self, services: wiring.Services, client_id: int, path: Path) -> None:
        self.services, self.client_id, self.path = services, client_id, path
        self.sessions: Sessions = services.sessions
        self.clock = services.clock
        path.touch()

    def row(self, **values: Any) -> int:
        """One communication; sent unless told otherwise."""
        now = self.clock.now()
        with write(self.sessions) as session:
            row = Communication(
                **{
                    "client_id": self.client_id, "channel": Channel.SMS,
                    "message_type": MessageType.MARKETING, "to_address": "+12015550100",
                    "address_hash": "hash", "status": Status.SENT, "rank": Rank.SENT,
                    "sent_at": now, "not_before": now, "created_at": now, "updated_at": now,
                }
                | values
            )  # fmt: skip
            session.add(row)
            session.flush()
            return row.id

    def account(self, adapter: str) -> int:
        factory = Factory(self.sessions, self.clock, self.client_id)  # type: ignore[arg-type]
        return factory.account(adapter, Channel.SMS, {})

    def taken(self, communication_id: int, *, token: int = 1, at: float = 0.0, **more: Any) -> None:
        """One line of the provider's: it took this."""
        line = {
            "provider": "twilio",
            "ref": self.services.references.make(communication_id, token),
            "to": f"+1201555{communication_id:04d}",
            "at": at or self.clock.now().timestamp(),
            "provider_id": f"SM{communication_id}",
        }
        self.line(line | more)

    def line(self, document: dict[str, Any]) -> None:
        with self.path.open("a") as file:
            file.write(json.dumps(document) + "\n")

    def event(self, communication_id: int, kind: str, word: str, **values: Any) -> None:
        """One fact in the log."""
        now = self.clock.now()
        with write(self.sessions) as session:
            session.add(
                CommunicationEvent(
                    client_id=self.client_id, communication_id=communication_id,
                    dedup_key=f"{communication_id}:{kind}:{word}", type=kind, provider_status=word,
                    occurred_at=now, received_at=now,
                    **{"state": EventState.APPLIED, "source": "twilio"} | values,
                )
            )  # fmt: skip

    def wrong(self, **expected: Any) -> list[str]:
        """The oracles that say no, of a file that names everything unless told otherwise."""
        expected = {"complete": True} | expected
        with read(self.sessions) as session:
            found = check(
                session, self.clock, self.services.references,
                provider_log=self.path, expected=expected,
            )  # fmt: skip
        return [name for name, told in found["oracles"].items() if not told["ok"]]


@pytest.fixture
def bench(services: wiring.Services, client_id: int, tmp_path: Path) -> Bench:
    return Bench(services, client_id, tmp_path / "accepts.jsonl")


def test_a_log_that_agrees_passes(bench: Bench) -> None:
    bench.taken(bench.row())
    bench.row(status=Status.SKIPPED, reason=Reason.SUPPRESSED, rank=Rank.OPEN, sent_at=None)
    bench.row(status=Status.FAILED, reason=Reason.REJECTED, rank=Rank.OPEN, sent_at=None)
    bench.row(status=Status.UNKNOWN, reason=Reason.NO_ANSWER, rank=Rank.OPEN, open_attempts=1)

    assert bench.wrong() == []


def test_o1_a_second_copy(bench: Bench) -> None:
    one = bench.row()
    bench.taken(one)
    bench.taken(one, token=2)
    assert bench.wrong() == ["O1"]


def test_o1_a_second_copy_an_operator_asked_for_is_none(bench: Bench) -> None:
    one = bench.row(resends=1)
    bench.taken(one)
    bench.taken(one, token=2)
    assert bench.wrong() == []


@pytest.mark.parametrize(
    ("values", "taken"),
    [
        ({}, False),
        ({"status": Status.FAILED, "rank": Rank.OPEN, "reason": Reason.REJECTED}, True),
        ({"status": Status.SKIPPED, "rank": Rank.OPEN, "reason": Reason.EXPIRED}, True),
    ],
)
def test_o2_something_else_is_shown(bench: Bench, values: dict[str, Any], taken: bool) -> None:
    one = bench.row(**values)
    if taken:
        bench.taken(one)
    assert bench.wrong() == ["O2"]


@pytest.mark.parametrize(
    ("adapter", "seconds", "judged"),
    [("twilio", 300, True), ("twilio", 30, False), ("twilio", 700, False), ("smtp", 300, False)],
    ids=["within", "in its first minute", "after its end", "of another provider"],
)
def test_o2_a_file_says_nothing_of_what_it_does_not_tell(
    bench: Bench, adapter: str, seconds: int, judged: bool
) -> None:
    begun = bench.clock.now()
    through = {name: bench.account(name) for name in ("twilio", "smtp")}
    for after in (0, 600):
        at = begun + timedelta(seconds=after)
        one = bench.row(sent_at=at, provider_account_id=through["twilio"])
        bench.taken(one, at=at.timestamp())
    sent_at = begun + timedelta(seconds=seconds)
    bench.row(sent_at=sent_at, provider_account_id=through[adapter], address_hash="x")

    assert bench.wrong(complete=False) == (["O2"] if judged else [])


def test_o2_an_operators_word_is_his_own(bench: Bench) -> None:
    one = bench.row()
    bench.event(one, "sent", "operator", source="operator")
    assert bench.wrong() == []


def test_o3_a_row_nobody_ends(bench: Bench, clock: ManualClock) -> None:
    bench.row(
        status=Status.SENDING, rank=Rank.OPEN, lease_until=clock.now() - timedelta(seconds=31)
    )
    assert bench.wrong(at_rest=False) == ["O3"]
    assert bench.wrong() == ["O3", "O8"]


def test_o4_more_unknown_than_is_explained(bench: Bench) -> None:
    for _ in range(5):
        bench.row(status=Status.UNKNOWN, rank=Rank.OPEN, open_attempts=1)
    assert bench.wrong() == [], "nobody said what would explain it"
    assert bench.wrong(kills=1, window=3, ambiguous=2) == []
    assert bench.wrong(kills=1, window=3, ambiguous=1) == ["O4"]


@pytest.fixture
def run_id(bench: Bench, campaign_id: int) -> int:
    """A run of two people that is over."""
    with write(bench.sessions) as session:
        now = bench.clock.now()
        run = Run(
            client_id=bench.client_id, campaign_id=campaign_id, occurrence_key="once",
            status=RunStatus.DONE, audience={}, plan={"channels": {"sms": {}}}, audience_size=2,
            last_member_id=9, expanded=2, expanded_at=now, started_at=now,
        )  # fmt: skip
        session.add(run)
        session.flush()
        return run.id


@pytest.fixture
def campaign_id(bench: Bench) -> int:
    with write(bench.sessions) as session:
        return create_campaign(
            session, bench.clock, client_id=bench.client_id, name="All", type="sms",
            target_audience={"rule": "everyone"},
        ).id  # fmt: skip


def test_o5_somebody_is_missing_or_waits_for_ever(bench: Bench, run_id: int) -> None:
    first = bench.row(run_id=run_id, member_id=1)
    bench.taken(first)
    assert bench.wrong() == ["O5"]
    bench.row(
        run_id=run_id, member_id=2, address_hash="other", status=Status.QUEUED, rank=Rank.OPEN
    )
    assert bench.wrong() == ["O5"], "a run that is over has nothing queued"
    assert bench.wrong(audience=3) == ["O5"]


def test_o5_what_is_held_as_poison_is_accounted_for(bench: Bench, run_id: int) -> None:
    bench.taken(bench.row(run_id=run_id, member_id=1))
    bench.row(
        run_id=run_id, member_id=2, address_hash="other", status=Status.QUEUED, rank=Rank.OPEN,
        held="poison",
    )  # fmt: skip
    assert bench.wrong() == []


def test_o6_an_acknowledged_receipt_is_missing(bench: Bench) -> None:
    one = bench.row(status=Status.DELIVERED, rank=Rank.DELIVERED)
    bench.taken(one)
    bench.event(one, "delivered", "delivered")
    bench.line({"webhook": f"SM{one}.delivered#0", "acked": True})
    assert bench.wrong() == []
    bench.line({"webhook": f"SM{one}.sent#0", "acked": True})
    assert bench.wrong() == ["O6"]


def test_o7_the_status_is_not_what_the_facts_say(bench: Bench) -> None:
    one = bench.row(status=Status.DELIVERED, rank=Rank.DELIVERED)
    bench.taken(one)
    bench.event(one, "delivered", "delivered")
    bench.event(one, "opened", "pixel", machine=True)
    assert bench.wrong() == [], "a machine's open says nothing"
    bench.event(one, "bounced_hard", "bounce")
    assert bench.wrong() == ["O7"]


def test_o8_something_is_still_claimed(bench: Bench, clock: ManualClock) -> None:
    bench.row(status=Status.QUEUED, rank=Rank.OPEN, lease_until=clock.now() + timedelta(seconds=60))
    assert bench.wrong() == ["O8"]
    assert bench.wrong(at_rest=False) == []


def test_o9_a_message_after_the_opt_out(bench: Bench, clock: ManualClock) -> None:
    with write(bench.sessions) as session:
        session.add(
            Suppression(
                client_id=bench.client_id, channel="sms", address_hash="hash", masked="+1***",
                scope=Scope.MARKETING, reason=SuppressionReason.STOPPED, since=clock.now(),
            )
        )  # fmt: skip
    since = clock.now().timestamp()
    bench.taken(bench.row(), at=since - 1)
    bench.taken(bench.row(), at=since + 1)
    bench.taken(bench.row(message_type=MessageType.TRANSACTIONAL), at=since + 60)
    assert bench.wrong() == [], "one was before, one in flight, one is not marketing"
    assert bench.wrong(in_flight=0) == ["O9"]
    bench.taken(bench.row(), at=since + 3)
    assert bench.wrong() == ["O9"]


def test_o10_a_process_that_grows(bench: Bench) -> None:
    process = {"name": "w", "rss_before": 100, "rss_after": 109, "files_before": 9}
    assert bench.wrong(processes=[process | {"files_after": 9}]) == []
    assert bench.wrong(processes=[process | {"files_after": 19}]) == ["O10"]


def test_lines_without_a_reference_are_known_by_the_providers_id(bench: Bench) -> None:
    one = bench.row(provider_id="own", provider_account_id=bench.account("twilio"))
    two = bench.row(provider_id="own", provider_account_id=bench.account("sendgrid"))
    bench.taken(one, ref=None, provider_id="own")
    bench.taken(two, ref=None, provider_id="own", provider="sendgrid")
    bench.taken(one, ref="somebody else's", provider_id="other")
    assert bench.wrong() == []


def test_a_line_that_was_cut_off_is_left_out_and_nonsense_is_not(bench: Bench) -> None:
    bench.taken(bench.row())
    with bench.path.open("a") as file:
        file.write('{"provider": "twi')
    assert bench.wrong() == []
    bench.path.write_text("hello}\n\n")
    with pytest.raises(ProviderLogError, match="line 1"):
        bench.wrong()


def test_asked_before_a_run_is_finished_it_says_so_and_blames_nobody(
    call: Call, bench: Bench, run_id: int, settings: Settings
) -> None:
    options = ("relcheck", "--db", settings.database_url, "--provider-log", str(bench.path))
    with write(bench.sessions) as session:
        session.get_one(Run, run_id).status = RunStatus.RUNNING
    sent = bench.row(run_id=run_id, member_id=1)
    bench.taken(sent)
    waiting = bench.row(
        run_id=run_id, member_id=2, address_hash="other", status=Status.QUEUED, rank=Rank.OPEN,
        sent_at=None,
    )  # fmt: skip

    early = call(*options, "--json")
    told = call(*options)

    assert (early.code, told.code) == (4, 4)
    assert early.json["ok"] is False
    assert early.json["early"] == [{"run": run_id, "status": "running", "open": 1}]
    assert "WRONG" not in told.out
    assert f"too early to say: run {run_id} is running, 1 open" in told.err
    assert bench.wrong(at_rest=True) == ["O5"], "who says it is at rest is taken at his word"

    bench.taken(sent, token=2)
    assert call(*options).code == 1, "a second copy is one at any time"

    with write(bench.sessions) as session:
        session.get_one(Communication, waiting).status = Status.SENT
    assert call(*options, "--json").json["early"] == []


def test_the_command_says_yes_and_no(
    call: Call, bench: Bench, tmp_path: Path, settings: Settings
) -> None:
    options = ("--db", settings.database_url, "--provider-log", str(bench.path))
    one = bench.row()
    bench.taken(one)
    assert call("relcheck", *options).code == 0

    bench.taken(one, token=2)
    expect = tmp_path / "expect.json"
    expect.write_text('{"kills": 0, "complete": true}')
    found = call("relcheck", *options, "--expect", str(expect), "--json")

    assert found.code == 1
    assert found.json["ok"] is False
    assert found.json["oracles"]["O1"]["examples"] == [one]
    assert found.json["counts"]["accepted"] == 2
    expect.write_text("[]")
    refused = call("relcheck", *options, "--expect", str(expect))
    assert refused.code == 1
    assert "JSON object" in refused.err
