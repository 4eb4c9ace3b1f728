"""Mirrors accounts/leftovers.py."""

from datetime import timedelta

from sqlalchemy import select

from accounts.invitation import Invitation, Inviter, accept, invite
from accounts.leftovers import KEPT, forget_leftovers, leftover
from accounts.permission import allowed
from accounts.recovery import RESET_LIVES, VERIFY_LIVES, ask_reset, ask_verification
from accounts.session import IDLE, Device, UserSession, end_session, note_session_use, open_session
from accounts.sign_in_link import ask_sign_in
from accounts.user import Role, User, UserStatus, create_user
from core.clock import ManualClock
from core.db import Sessions, read, write

SECOND = timedelta(seconds=1)


def test_what_is_over_is_forgotten_and_nothing_else(
    sessions: Sessions, clock: ManualClock, client_id: int
) -> None:
    with write(sessions) as session:
        ana = create_user(session, clock, email="ana@example.com", status=UserStatus.ACTIVE)
        made = [
            open_session(session, clock, user_id=ana.id, device=Device.of(None, None))[0].id
            for _ in range(3)
        ]
        end_session(session, clock, user_id=ana.id, session_id=made[0])
        inviter = Inviter(client_id, "cli", Role.ADMIN, allowed(Role.ADMIN), mails=False)
        invite(session, clock, inviter, email="bo@example.com", role=Role.USER)
        kept, text = invite(session, clock, inviter, email="cy@example.com", role=Role.USER)
        accept(session, clock, text=text, password_hash="hash")
        ask_reset(session, clock, email="ana@example.com")
        ask_sign_in(session, clock, email="ana@example.com")
        ask_verification(session, clock, ana)
        user_id, kept_id = ana.id, kept.id

    def left() -> tuple[list[int], int, bool, bool]:
        for _ in range(2):  # the second finds nothing
            with write(sessions) as session:
                forget_leftovers(session, clock)
        with read(sessions) as session:
            assert not leftover(session, clock)
            assert (session.get_one(User, user_id).sign_in_token is None) is over
            who = session.get_one(User, user_id)
            return (
                list(session.scalars(select(UserSession.id).order_by(UserSession.id))),
                len(session.scalars(select(Invitation.id)).all()),
                who.password_reset_token is not None,
                who.email_verification_token is not None,
            )

    over = False
    assert left() == (made[1:], 2, True, True)
    over = True
    clock.advance(seconds=RESET_LIVES.total_seconds())
    assert left() == (made[1:], 2, False, True)
    clock.advance(seconds=(VERIFY_LIVES - RESET_LIVES).total_seconds())
    assert left() == (made[1:], 2, False, False)
    with write(sessions) as session:
        note_session_use(session, clock, session_id=made[2])
    clock.advance(seconds=(IDLE - SECOND).total_seconds())
    assert left() == (made[2:], 2, False, False)
    clock.advance(seconds=1)
    assert left() == ([], 2, False, False)
    clock.advance(seconds=KEPT.total_seconds() + 7 * 86_400)
    with read(sessions) as session:
        assert leftover(session, clock)
    assert left() == ([], 1, False, False)
    with read(sessions) as session:
        assert session.scalars(select(Invitation.id)).all() == [kept_id]
