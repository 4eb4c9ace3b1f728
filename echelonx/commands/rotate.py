"""`rotate-key`: seal stored secrets under the newest key."""

from dataclasses import asdict

import click

from echelonx.commands.output import answer, as_json
from echelonx.commands.workspace import opened
from echelonx.rotation import rotate


@click.command()
@click.option("--dry-run", is_flag=True, help="Count, and change nothing.")
@as_json
def rotate_key(dry_run: bool, as_json: bool) -> int:
    """Seal stored secrets under the first of ECHELONX_VAULT_KEYS, while everything runs.

    Doing it again changes nothing. Exit code 1: no key opens some of them.

    \b
    echelonx rotate-key --dry-run
    echelonx rotate-key
    """
    with opened() as services:
        told = rotate(services.sessions, services.vault, dry_run=dry_run)
    verb = "to seal anew" if dry_run else "sealed anew"
    lines = [
        f"{one.name:26} {verb} {one.renewed:,}, already {one.current:,}, lost {one.unreadable:,}"
        for one in told
    ]
    answer([asdict(one) for one in told], "\n".join(lines), as_json=as_json)
    return 1 if any(one.unreadable for one in told) else 0
