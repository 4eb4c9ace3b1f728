"""`suppress`: addresses that must not be contacted."""

import click

from core.address import mask, normalise
from core.db import read, write
from echelonx.commands.output import Group, answer, as_json, facts
from echelonx.commands.workspace import chosen, client_option, opened
from members.suppression import Scope, SuppressionReason, is_suppressed
from members.suppression import suppress as suppress_address

KINDS = ("email", "sms", "push")


@click.group(cls=Group)
def suppress() -> None:
    """Addresses that must not be contacted."""


@suppress.command()
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("address")
@click.option("--scope", type=click.Choice([s.value for s in Scope]), default=Scope.ALL.value)
@client_option
@as_json
def add(kind: str, address: str, scope: str, client_id: int | None, as_json: bool) -> None:
    """Never write to an address again; it outlives the member.

    \b
    echelonx suppress add email ana@example.com
    echelonx suppress add sms +12015550123 --scope marketing
    """
    with opened() as services, write(services.sessions) as session:
        client = chosen(session, client_id)
        value = normalise(kind, address, client.country)
        new = suppress_address(
            session,
            services.clock,
            client_id=client.id,
            channel=kind,
            address_hash=services.hasher.hash(client.id, kind, value),
            masked=mask(kind, value),
            scope=Scope(scope),
            reason=SuppressionReason.MANUAL,
            evidence="cli",
        )
        values = {"address": mask(kind, value), "scope": scope, "new": new}
    answer(values, facts(values), as_json=as_json)


@suppress.command()
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("address")
@client_option
@as_json
def check(kind: str, address: str, client_id: int | None, as_json: bool) -> int:
    """Say whether an address may be written to; exit with 1 if marketing may not.

    \b
    echelonx suppress check email ana@example.com
    """
    with opened() as services, read(services.sessions) as session:
        client = chosen(session, client_id)
        value = normalise(kind, address, client.country)
        hashed = services.hasher.hash(client.id, kind, value)
        found = {
            name: is_suppressed(
                session,
                client_id=client.id,
                channel=kind,
                address_hash=hashed,
                marketing=name == "marketing",
            )
            for name in ("marketing", "all")
        }
    values = {"address": mask(kind, value)} | {f"suppressed_{k}": v for k, v in found.items()}
    answer(values, facts(values), as_json=as_json)
    return 1 if found["marketing"] else 0
