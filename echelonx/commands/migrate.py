"""`migrate`: bring the database up to date."""

import click

from echelonx import schema
from echelonx.commands.output import answer, as_json
from echelonx.commands.workspace import settings
from echelonx.wiring import build


@click.command()
@click.option("--check", is_flag=True, help="Change nothing; exit with 1 if there is work.")
@as_json
def migrate(check: bool, as_json: bool) -> int:
    """Bring the database up to date. Doing it again changes nothing.

    \b
    echelonx migrate
    echelonx migrate --check
    """
    services = build(settings())
    before = schema.current(services.engine)
    after = before if check else schema.migrate(services.engine)
    services.close()
    text = f"schema {after or 'empty'}" + ("" if before == after else f" (was {before or 'empty'})")
    answer({"before": before, "after": after, "head": schema.head()}, text, as_json=as_json)
    return 0 if after == schema.head() else 1
