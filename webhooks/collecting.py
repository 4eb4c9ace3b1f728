"""Collecting: events that programs told become events, members and profiles, a client at a time.

Invariants
    1. A request's events, their effects and its end are one transaction.
    2. Any order, any repeats and any split of the same events give one result.
    3. A key that may not change people adds events and visitors, and no more (docs/howto/
       collect-events.md): no alias of its joins two who are known.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from core import log
from core.address import AddressHasher
from core.clock import Clock
from core.db import DATABASE_AWAY, Sessions, read, write
from core.document import read_document
from core.errors import InvalidError
from core.rows import among
from core.secret import Vault
from members.edit import country_of
from members.identity import FORMER_KEY, attach, external_kind, resolve
from members.member import Member
from members.merge import merge
from members.person import key_of
from members.tracking import MAX_EVENTS, Tracked, track
from members.trait import GROUP, IDENTIFY, Said, learn
from members.upsert import take_turn, try_turn
from webhooks.apply import UNREADABLE
from webhooks.collected import Collected, claim, close, opened, put_aside, waiting
from webhooks.context import Services
from webhooks.dropped import Drop, note_drops
from webhooks.segment import Call, DroppedError, Post, kind_of, read_call

_log = log.get(__name__)


@dataclass(frozen=True, slots=True)
class Collecting:
    """What it needs beside a session."""

    sessions: Sessions
    clock: Clock
    vault: Vault
    hasher: AddressHasher

    def step(self) -> bool:
        """Apply a set of what waits for each client; say whether there was any.

        A client whose people somebody else writes is passed over, and waited for only where there
        is nothing else to do.
        """
        with read(self.sessions) as session:
            clients = waiting(session, self.clock)
        done = [self._client(one, try_turn) for one in clients]
        return any(done) or any(self._client(one, _wait_turn) for one in clients[:1])

    def _client(self, client_id: int, turn: Callable[[Session, int], bool]) -> bool:
        with write(self.sessions) as session:
            # Whoever adds to a client's people waits here, and nowhere with locks in hand.
            if not turn(session, client_id):
                return False
            rows = claim(session, self.clock, client_id=client_id, events=MAX_EVENTS)
            if rows:
                self._apply(session, client_id, rows)
        return bool(rows)

    def _apply(self, session: Session, client_id: int, rows: Sequence[Collected]) -> None:
        """Apply requests as one set; should that fail, one by one."""
        try:
            with session.begin_nested():
                _Set(session, self, client_id).apply(rows)
                close(session, rows)
        except DATABASE_AWAY:
            raise
        except UNREADABLE as error:
            if len(rows) > 1:
                for row in rows:
                    self._apply(session, client_id, [row])
                return
            self._put_aside(session, rows[0], error)

    def _put_aside(self, session: Session, row: Collected, error: Exception) -> None:
        why = type(error).__name__
        _log.warning("collected events not applied", collected_id=row.id, reason=why)
        if put_aside(session, self.clock, row):
            detail = f"they could not be applied ({why}) and are kept as collected {row.id}"
            drop = Drop("?", "not_applied", detail, key_id=row.key_id, count=row.events)
            note_drops(session, self.clock, client_id=row.client_id, drops=[drop])


def _wait_turn(session: Session, client_id: int) -> bool:
    take_turn(session, client_id)
    return True


def collecting(services: Services) -> Collecting:
    """Take what it needs from the running product."""
    return Collecting(services.sessions, services.clock, services.vault, services.hasher)


@dataclass(slots=True)
class _Set:
    """Requests of one client on their way."""

    session: Session
    parts: Collecting
    client_id: int
    drops: list[Drop] = field(default_factory=list)
    calls: list[tuple[Call, Collected]] = field(default_factory=list)

    def apply(self, rows: Sequence[Collected]) -> None:
        for row in rows:
            self._read(row)
        self._guard_aliases()
        self.calls.sort(key=lambda one: (one[0].told.occurred_at, one[0].told.message_id))
        country = country_of(self.session, self.client_id)
        members: dict[str, int] = {}
        absorbed: dict[int, int] = {}
        for start in range(0, len(self.calls), MAX_EVENTS):
            part = self.calls[start : start + MAX_EVENTS]
            done = track(
                self.session,
                self.parts.clock,
                self.parts.hasher,
                client_id=self.client_id,
                events=[call.told for call, _ in part],
                country=country,
            )
            self._refused(part, done)
            members |= done.members
            absorbed |= done.absorbed
        absorbed |= self._join(members)
        self._name(members, absorbed)
        self._learn(members, absorbed, country)
        note_drops(self.session, self.parts.clock, client_id=self.client_id, drops=self.drops)

    def _read(self, row: Collected) -> None:
        said = read_document(opened(self.parts.vault, row))
        post = Post(row.received_at, row.mark, row.trusted, row.kind, said.get("sentAt"))
        for place, event in enumerate([said] if row.kind else said["batch"]):
            try:
                self.calls.append((read_call(event, place, post), row))
            except DroppedError as error:
                message_id = event.get("messageId") if isinstance(event, dict) else None
                message_id = message_id if isinstance(message_id, str) else None
                kind = kind_of(event, post)
                self.drops.append(Drop(kind, error.reason, str(error), message_id, row.key_id))

    def _drop(self, call: Call, row: Collected, reason: str, detail: str) -> None:
        self.drops.append(Drop(call.kind, reason, detail, call.told.message_id, row.key_id))

    def _guard_aliases(self) -> None:
        """Drop aliases by which a key that may not change people would join two who are known."""
        before = {one.previous_id for one, row in self.calls if one.previous_id and not row.trusted}
        if not before:
            return
        known = self._members_of(before)
        kept = []
        for call, row in self.calls:
            if call.previous_id in known and not row.trusted:
                detail = "previousId is a known userId: only a key with members:write may join them"
                self._drop(call, row, "alias_of_known", detail)
            else:
                kept.append((call, row))
        self.calls = kept

    def _members_of(self, keys: Iterable[str | None]) -> dict[str, int]:
        """Return whom user ids lead to."""
        wanted = {key_of(one): one for one in keys if one}
        M = Member  # noqa: N806  (a table alias)
        query = select(M.member_id, M.id).where(
            M.client_id == self.client_id,
            among(self.session, M.member_id, sorted(wanted)),
            M.deleted_at.is_(None),
        )
        names = [(FORMER_KEY, one) for one in wanted]
        former = resolve(self.session, client_id=self.client_id, names=names)
        found = {wanted[key]: member_id for (_, key), member_id in former.items()}
        found |= {wanted[row.member_id]: row.id for row in self.session.execute(query)}
        return found

    def _refused(self, part: Sequence[tuple[Call, Collected]], done: Tracked) -> None:
        for one in done.rejected:
            self._drop(*part[one.index], one.field[:32], one.message)

    def _join(self, members: dict[str, int]) -> dict[int, int]:
        """Join whom aliases of trusted keys name; return who was absorbed by whom."""
        absorbed: dict[int, int] = {}
        for call, row in self.calls:
            if call.previous_id is None or not row.trusted:
                continue
            survivor = members.get(call.told.message_id)
            if survivor is None:
                continue
            while survivor in absorbed:
                survivor = absorbed[survivor]
            before = self._members_of([call.previous_id]).get(call.previous_id)
            if before is None:
                name = (FORMER_KEY, key_of(call.previous_id), survivor)
                attach(self.session, client_id=self.client_id, names=[name])
            elif before != survivor:
                merge(
                    self.session,
                    self.parts.clock,
                    client_id=self.client_id,
                    survivor_id=survivor,
                    absorbed_id=before,
                    actor=f"key:{row.key_id}",
                )
                absorbed[before] = survivor
        return absorbed

    def _name(self, members: dict[str, int], absorbed: dict[int, int]) -> None:
        """Note the ids other systems have for people; one that is taken stays where it is."""
        names = []
        for call, row in self.calls:
            member_id = members.get(call.told.message_id)
            for system, value in call.outside if member_id else ():
                try:
                    kind = external_kind(system)
                except InvalidError as error:
                    self._drop(call, row, "external_id", str(error))
                    continue
                names.append((kind, value, _end(absorbed, member_id or 0)))
        attach(self.session, client_id=self.client_id, names=names)

    def _learn(
        self, members: dict[str, int], absorbed: dict[int, int], country: str | None
    ) -> None:
        said, told = [], {}
        for call, row in self.calls:
            one = call.told
            if call.kind in (IDENTIFY, GROUP) and one.message_id in members:
                whose = _end(absorbed, members[one.message_id])
                at = one.occurred_at or row.received_at
                said.append(Said(whose, call.kind, one.properties, at, one.message_id, one.told_by))
                told[one.message_id] = (call, row)
        unkept = learn(
            self.session,
            self.parts.clock,
            self.parts.hasher,
            client_id=self.client_id,
            said=said,
            whole={_end(absorbed, one) for one in absorbed},
            country=country,
        )
        for left in unkept:
            self._drop(*told[left.message_id], "trait", left.message)


def _end(absorbed: dict[int, int], member_id: int) -> int:
    """Return who a member is after all that was joined."""
    while member_id in absorbed:
        member_id = absorbed[member_id]
    return member_id
