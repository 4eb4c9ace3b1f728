"""Permission: what each role may do. One table, which every operation of the API has to be in.

An action is `<room>:<verb>`. What is not in the table does not exist and is refused; an API
operation that asks for such an action keeps the application from starting. Each action names the
least role that may do it: roles contain each other, `user` < `manager` < `admin` < `super_admin`.
`reference()` writes docs/reference/permissions.md.

Invariants
    1. What reaches beyond one client needs `super_admin`, and cannot be added to another role.
    2. A key never may more than the person it belongs to, and one of nobody no more than an admin.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from accounts.user import Role
from core.errors import InvalidError

RANKS = {role: rank for rank, role in enumerate(reversed(Role))}
"""How much a role may; a higher one may everything that a lower one may."""

_USER = {
    "me:read": "See one's own profile and permissions",
    "me:write": "Change one's own profile, password, two-factor and sessions (never by a key)",
    "settings:read": "See the client's profile and settings",
    "members:read": "Look at people: addresses, consents, events, scores, what was sent",
    "members:note": "Write notes about people",
    "segments:read": "Look at segments and who belongs to them",
    "segments:write": "Write segments",
    "templates:read": "Look at templates",
    "templates:write": "Write templates",
    "campaigns:read": "Look at campaigns, their runs and statistics",
    "campaigns:write": "Draft campaigns",
    "journeys:read": "Look at journeys, who is inside, and results",
    "journeys:write": "Draft journeys, install recipes",
    "recipes:read": "Look at recipes and the foundation",
    "prompts:read": "Look at prompts",
    "prompts:write": "Have copy drafted",
    "communications:read": "Read the communications log",
    "suppressions:read": "Look at suppressions, masked",
    "tiers:read": "Look at tiers and their rules",
    "scores:read": "Look at the models behind scores",
    "elevate:read": "Look at the nine Elevate steps: path, funnel, class",
    "jobs:read": "Look at jobs of the kinds one may look at: imports, bulk edits, exports",
}
_MANAGER = {
    "members:write": "Add, change, merge and delete people; consents, tags, bulk edits",
    "events:write": "Tell of events; a key with this alone may stand in a web page",
    "orders:write": "Tell of orders and refunds",
    "imports:read": "Look at imports and their rejects",
    "imports:write": "Import people",
    "exports:read": "Look at exports and download them",
    "exports:write": "Export people, messages and results",
    "jobs:write": "Cancel jobs of the kinds one may begin",
    "communications:write": "Send messages to single members",
    "campaigns:launch": "Launch, pause, resume and cancel campaigns",
    "journeys:launch": "Publish, pause, resume and archive journeys; let people in, move them",
    "suppressions:write": "Suppress addresses",
    "messages:read": "Look at messages nobody can tell were sent or not",
    "messages:check": "Ask providers what became of such messages",
    "foundation:write": "Write the brand facts that fill templates",
    "tiers:write": "Write tier rules, give tiers",
    "elevate:write": "Star steps, take snapshots of the funnel",
    "usage:read": "Look at the client's usage, costs and revenue",
    "providers:read": "Look at provider accounts; secrets are veiled",
    "webhook_endpoints:read": "Look at webhook endpoints and what they were told",
}
_ADMIN = {
    "members:erase": "Erase a person for good",
    "exports:client": "Export everything that is stored of the client, and download that",
    "suppressions:lift": "Allow a suppressed address again",
    "messages:resolve": "Decide what was sent and what is sent again",
    "providers:write": "Add, change, pause and resume provider accounts",
    "webhook_endpoints:write": "Add, change and delete webhook endpoints, test them, replay",
    "webhook_endpoints:secret": "See and rotate the signing secrets of webhook endpoints",
    "settings:write": "Change the client's profile and settings",
    "api_keys:read": "Look at API keys",
    "api_keys:write": "Make, rename and revoke API keys, with no more than one may oneself",
    "users:read": "Look at users, their roles and invitations",
    "users:write": "Invite, change, suspend and remove users",
    "audit:read": "Read the audit log",
    "stuck_events:read": "Look at events of programs that could not be applied",
    "stuck_events:write": "Apply such events again",
}
_SUPER_ADMIN = {
    "clients:read": "Look at every client",
    "clients:write": "Add, change, suspend and remove clients",
}
LEVELS: Mapping[Role, Mapping[str, str]] = {
    Role.USER: _USER,
    Role.MANAGER: _MANAGER,
    Role.ADMIN: _ADMIN,
    Role.SUPER_ADMIN: _SUPER_ADMIN,
}
"""What a role adds to those below it, and what that is."""

PERMISSIONS: Mapping[str, Role] = MappingProxyType(
    {action: role for role, added in LEVELS.items() for action in added}
)
"""The table: every action there is, and the least role that may do it."""

ALWAYS = frozenset({"me:read"})
"""What whoever proved who they are may do, even without a role."""
PERSONAL = frozenset({"me:write"})
"""What a person may do and no key, whatever its scopes."""

EVERYTHING = "*"
READ, WRITE = "read", "write"
GROUPS = (EVERYTHING, READ, WRITE)
"""Scopes that hold many actions."""


def allowed(role: Role | None, added: Iterable[str] = ()) -> frozenset[str]:
    """Return what a role may do at a client, with the single actions `added` to it there."""
    if role is None:
        return ALWAYS
    held = {action for action, least in PERMISSIONS.items() if RANKS[least] <= RANKS[role]}
    return frozenset(held | addable(added))


def may_give(held: frozenset[str], given: frozenset[str]) -> bool:
    """Say whether who may do what is `held` may let others do what is `given`."""
    return given - PERSONAL - ALWAYS <= held


def addable(actions: Iterable[str]) -> set[str]:
    """Return those of `actions` that a client's admin may add to somebody's role."""
    return {action for action in actions if PERMISSIONS.get(action, Role.SUPER_ADMIN) in BELOW}


BELOW = frozenset(Role) - {Role.SUPER_ADMIN}


def within(scopes: Iterable[str], held: frozenset[str]) -> frozenset[str]:
    """Return what a key with these scopes may do, where its owner holds `held`."""
    asked: set[str] = set()
    for scope in scopes:
        asked |= _held_by(scope)
    return frozenset((asked & held) - PERSONAL | ALWAYS)


def _held_by(scope: str) -> frozenset[str]:
    """Return the actions of one scope. `read` and `write` are what a manager may."""
    if scope == EVERYTHING:
        return frozenset(PERMISSIONS)
    if scope in (READ, WRITE):
        manager = allowed(Role.MANAGER)
        reads = {action for action in manager if action.endswith(":read")}
        return frozenset(reads if scope == READ else manager - reads)
    return frozenset({scope})


def checked_actions(names: Iterable[str], *, field: str) -> list[str]:
    """Return actions to add to a role, each once. Raises InvalidError for one that cannot be."""
    given = list(dict.fromkeys(names))
    for name in given:
        if not addable((name,)):
            raise InvalidError(
                f"“{name[:64]}” is no action that can be added",
                field=field,
                remedy="give actions of docs/reference/permissions.md below super_admin",
            )
    return given


def checked_scopes(names: Iterable[str], *, field: str) -> list[str]:
    """Return a key's scopes, each once. Raises InvalidError for what is none."""
    given = list(dict.fromkeys(names))
    for name in given:
        if name not in GROUPS and (name not in PERMISSIONS or name in PERSONAL):
            raise InvalidError(
                f"“{name[:64]}” is no scope",
                field=field,
                remedy="give *, read, write, or actions of docs/reference/permissions.md",
            )
    if not given:
        raise InvalidError("a key needs a scope", field=field, remedy='use ["*"] for all')
    return given


def reference() -> str:
    """Return docs/reference/permissions.md, which a test holds equal to this table."""
    roles = list(RANKS)
    lines = [
        "# Permissions",
        "",
        "What each role may do at a client. What is not listed is refused to everybody. Every",
        "operation of the API names its action as `x-action` in the OpenAPI document.",
        "",
        "A user may have other roles at other clients; `super_admin` holds at every client. Single",
        "actions can be added to somebody's role at a client, those of `super_admin` excepted.",
        "",
        "An API key's scopes are actions, or `*` (everything), or `read` and `write`: what a",
        "`manager` may look at, and what else a `manager` may do. A key of a person never may more",
        "than that person now; a key of nobody no more than an `admin`.",
        "",
        f"| action | what it is | {' | '.join(f'`{role.value}`' for role in roles)} |",
        f"| --- | --- |{' :-: |' * len(roles)}",
    ]
    for least, added in LEVELS.items():
        marks = " | ".join("yes" if RANKS[role] >= RANKS[least] else "" for role in roles)
        lines += [f"| `{action}` | {about} | {marks} |" for action, about in added.items()]
    return "\n".join(lines) + "\n"
