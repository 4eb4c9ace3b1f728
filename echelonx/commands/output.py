"""Output: data to standard output, progress to standard error, JSON where it is asked for."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
"""The option every command has."""

LONGEST = 300
"""Characters of a command's first sentence: more than any has."""

Text = str | Callable[[], str]


class Group(click.Group):
    """Commands of one thing; their list says the whole first sentence of each."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands, each with what it is for."""
        known = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, one.get_short_help_str(LONGEST)) for name, one in known if one is not None]
            )


def answer(value: Any, text: Text, *, as_json: bool) -> None:
    """Write a command's answer: `value` as JSON, or `text` for people."""
    if as_json:
        click.echo(json.dumps(value, default=plain, ensure_ascii=False))
    else:
        click.echo(text() if callable(text) else text)


@contextmanager
def bar(text: str) -> Iterator[Callable[[int, int | None], None]]:
    """Give a function that shows how far work is: what is done, and of how much, if that is known.

    On standard error; a bar with its pace for a person, nothing for a file or a pipe.
    """
    console = Console(stderr=True)
    progress = Progress(
        TextColumn(text),
        BarColumn(),
        TextColumn("{task.completed:,.0f} rows"),
        TextColumn("{task.fields[pace]}"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )
    with progress:
        task = progress.add_task("", total=None, pace="")

        def tell(done: int, total: int | None) -> None:
            elapsed = progress.tasks[0].elapsed
            pace = f"{done / elapsed:,.0f}/s" if elapsed else ""
            most = max(total, done) if total else None
            progress.update(task, completed=done, total=most, pace=pace)

        yield tell


IDS = ("id", "member", "campaign", "run", "import", "message", "client", "account")


def note(text: str) -> None:
    """Say something that is not data."""
    click.echo(text, err=True)


def plain(value: Any) -> Any:
    """Return what JSON has no word for as text."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    return str(value)


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return rows under their columns; numbers stand to the right."""
    cells = [[_cell(value, name) for value, name in zip(row, columns, strict=True)] for row in rows]
    if not cells:
        return "(none)"
    widths = [max(len(text) for text in column) for column in zip(columns, *cells, strict=True)]
    right = [all(_number(row[i]) for row in cells) for i in range(len(columns))]

    def line(texts: Sequence[str]) -> str:
        aligned = (
            text.rjust(width) if to_right else text.ljust(width)
            for text, width, to_right in zip(texts, widths, right, strict=True)
        )
        return "  ".join(aligned).rstrip()

    return "\n".join([line(columns), *map(line, cells)])


def facts(values: Mapping[str, Any]) -> str:
    """Return names and values, one a line; what is empty is left out."""
    shown = {
        name: _cell(value, name) for name, value in values.items() if value not in (None, "", [])
    }
    width = max((len(name) for name in shown), default=0)
    return "\n".join(f"{name.ljust(width)}  {value}" for name, value in shown.items())


def _cell(value: Any, name: str) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        # An id is there to be given back to a command.
        return str(value) if name in IDS or name.endswith("_id") else f"{value:,}"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    if isinstance(value, dict):
        return json.dumps(value, default=plain, ensure_ascii=False)
    return str(value)


def _number(text: str) -> bool:
    return text.replace(",", "").replace(".", "").replace("-", "").isdigit() or text == "-"
