"""The command `echelonx`: finds the command, and turns every error into a line and an exit code.

Exit codes (UI 8): 0 ok, 1 a problem, 2 usage or settings, 3 refused by the pre-flight, 4 partly
done, 130 interrupted. Data goes to standard output, everything else to standard error.

A command's module is imported when it is called: `echelonx --help` must not wait for a database
driver.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version
from typing import Any

import click

from core.errors import EngineError

PROBLEM, USAGE, REFUSED, PARTLY, INTERRUPTED = 1, 2, 3, 4, 130
EXIT_CODES = {
    "settings": USAGE,
    "launch_blocked": REFUSED,
    "publish_blocked": REFUSED,
    "move_blocked": REFUSED,
    "sending_partly": PARTLY,
}
"""By an error's code; every other error is a PROBLEM."""

COMMANDS = {
    # name: (module, what it is for)
    "demo": ("echelonx.commands.demo", "Import people, launch a campaign, watch it land."),
    "practice": ("echelonx.commands.practice", "Run a ready-made journey, nothing leaves here."),
    "run": ("echelonx.commands.serve", "Web, scheduler and workers in one process."),
    "init": ("echelonx.commands.init", "Make a client, its admin and a first API key."),
    "doctor": ("echelonx.commands.doctor", "Check the installation, with a fix for each fault."),
    "web": ("echelonx.commands.serve", "The web server alone."),
    "worker": ("echelonx.commands.serve", "A worker: fans out, sends, applies webhooks."),
    "scheduler": ("echelonx.commands.serve", "The scheduler alone."),
    "migrate": ("echelonx.commands.migrate", "Bring the database up to date."),
    "resume": ("echelonx.commands.resume", "Send again after the database was restored."),
    "import": ("echelonx.commands.imports", "Import people from a CSV or XLSX file."),
    "export": ("echelonx.commands.people", "Export members as CSV, JSON lines or Parquet."),
    "member": ("echelonx.commands.member", "Look at people, search and merge them."),
    "event": ("echelonx.commands.activity", "Tell of what a member did."),
    "order": ("echelonx.commands.activity", "Tell of an order, or of a refund."),
    "segment": ("echelonx.commands.segment", "Count and show whom a rule means."),
    "recipe": ("echelonx.commands.recipe", "Ready-made journeys, one command to a draft."),
    "template": ("echelonx.commands.template", "Write, list and preview what is said."),
    "campaign": ("echelonx.commands.campaign", "Check, launch, watch and stop campaigns."),
    "journey": ("echelonx.commands.journey", "Write, publish, watch and stop journeys."),
    "log": ("echelonx.commands.log", "Read the communications log."),
    "unknown": ("echelonx.commands.unknown", "Decide what nobody can tell was sent or not."),
    "relcheck": (
        "echelonx.commands.relcheck",
        "Compare the log with what a provider says it took.",
    ),
    "suppress": ("echelonx.commands.suppress", "Addresses that must not be contacted."),
    "webhook": ("echelonx.commands.webhook", "Look at stored webhooks, and apply them again."),
    "audit": ("echelonx.commands.audit", "Who did what; and proof that nobody changed it."),
    "client": ("echelonx.commands.client", "Companies and shops: add, list, usage, export."),
    "endpoint": ("echelonx.commands.endpoint", "Tell URLs of your own what happens."),
    "retention": ("echelonx.commands.retention", "How long data is kept; forget what is older."),
    "recount": ("echelonx.commands.recount", "Make counts of messages add up to the log again."),
    "rotate-key": ("echelonx.commands.rotate", "Seal stored secrets under a new key."),
    "key": ("echelonx.commands.access", "API keys."),
    "user": ("echelonx.commands.user", "People who log in: add, invite, list, change, suspend."),
    "simulator": ("echelonx.commands.simulator", "Providers on this machine that only pretend."),
}
ATTRIBUTES = {"import": "import_", "rotate-key": "rotate_key"}
"""Where the function cannot have the command's name."""


class Commands(click.Group):
    """The group of all commands; imports one when it is wanted."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names as they are shown: what a beginner needs first."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module = import_module(COMMANDS[cmd_name][0])
        command: click.Command = getattr(module, ATTRIBUTES.get(cmd_name, cmd_name))
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, about) in COMMANDS.items()])


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
    epilog="`echelonx demo` shows it at work. Settings: docs/reference/settings.md.",
)
@click.version_option(version("echelonx"), message="echelonx %(version)s")
def cli() -> None:
    """EchelonX sends every member the right message once, and knows what became of it."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit."""
    sys.exit(called(arguments))


def called(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code, having told what went wrong."""
    try:
        result: Any = cli.main(arguments, prog_name="echelonx", standalone_mode=False)
    except click.Abort:
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except EngineError as error:
        _tell(error)
        return EXIT_CODES.get(error.code, PROBLEM)
    except _database_errors() as error:
        _tell(_database(error))
        return PROBLEM
    return result if isinstance(result, int) else 0


def _tell(error: EngineError) -> None:
    findings = getattr(error, "findings", ())
    if len(findings) > 1:
        click.echo(f"error: {len(findings)} things stand in the way", err=True)
        for finding in findings:
            click.echo(f"       {finding.message}\n       -> {finding.remedy}", err=True)
        return
    field = f"{error.field}: " if error.field and error.field not in str(error) else ""
    click.echo(f"error: {field}{error}", err=True)
    click.echo(f"    -> {error.remedy or error.usual}", err=True)


def _database_errors() -> tuple[type[Exception], ...]:
    """Return what a database that is away raises; asked only once something was raised."""
    loaded = sys.modules.get("sqlalchemy.exc")
    return (loaded.OperationalError, loaded.InterfaceError) if loaded else ()


def _database(error: Exception) -> EngineError:
    why = str(getattr(error, "orig", error)).partition("\n")[0]
    return EngineError(
        f"the database cannot be used: {why}",
        remedy="check ECHELONX_DATABASE_URL; `echelonx doctor` says more",
    )
