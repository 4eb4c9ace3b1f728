"""People at two clients, for tests of who may see and change whom."""

from dataclasses import dataclass

from accounts.client import create_client
from accounts.user import Role, UserStatus, create_user, grant_role
from accounts.user_edit import Editor
from core.clock import Clock
from core.db import Sessions, write


@dataclass(frozen=True, slots=True)
class People:
    """Ids by what they are."""

    here: int
    there: int
    admin: int
    manager: int
    both: int
    """A manager here, an admin there."""
    stranger: int
    """An admin there."""
    root: int

    def editor(self, role: Role, user_id: int | None = None) -> Editor:
        return Editor(role, self.here, user_id)

    @property
    def boss(self) -> Editor:
        return self.editor(Role.ADMIN, self.admin)


def make_people(sessions: Sessions, clock: Clock, here: int) -> People:
    with write(sessions) as session:
        there = create_client(session, clock, name="Other").id

        def user(name: str, role: Role, client_id: int | None = None) -> int:
            made = create_user(
                session,
                clock,
                email=f"{name}@example.com",
                first_name=name.title(),
                last_name="Li",
                role=role,
                client_id=client_id,
                status=UserStatus.ACTIVE,
            )
            made.email_verified = True
            return made.id

        people = People(
            here=here,
            there=there,
            admin=user("ana", Role.ADMIN, here),
            manager=user("max", Role.MANAGER, here),
            both=user("bo", Role.MANAGER, here),
            stranger=user("zoe", Role.ADMIN, there),
            root=user("root", Role.SUPER_ADMIN),
        )
        grant_role(session, clock, user_id=people.both, client_id=there, role=Role.ADMIN)
    return people
