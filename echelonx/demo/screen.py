"""Screens: what a person sees of a demo, on a terminal, in a pipe, or not at all."""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol, TextIO

from rich.box import ASCII, ROUNDED, SIMPLE_HEAD
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from core.clock import ticking
from echelonx.demo.figures import CHANNELS, Figures, Numbers

WIDTH = 80
TITLES = {"email": "Email", "sms": "SMS", "push": "Push"}
RESULT = (
    "audience", "sent", "skipped", "failed", "unknown", "delivered", "bounced", "pending", "read",
)  # fmt: skip
"""What adds up, and a taste of what follows, in 80 columns."""
FURTHER = ("clicked", "replied")
ADDS_UP = "audience = sent + skipped + failed + unknown\nsent = delivered + bounced + pending"
PLAIN_SECONDS = 10.0


class Progress(Protocol):
    """Shows how far sending is, as often as it is told."""

    def __call__(self, figures: Figures) -> None:
        """Show these figures."""
        ...


class Screen:
    """Writes to one stream; lively only where that is a terminal that can."""

    def __init__(self, stream: TextIO) -> None:
        self.console = Console(file=stream, highlight=False, soft_wrap=False, width=_width(stream))
        self.lively = stream.isatty() and not os.environ.get("CI") and not self._dumb
        unicode = (self.console.encoding or "").lower().startswith("utf")
        self._mark = "✔" if unicode else "ok"
        self._fancy = unicode

    @property
    def _dumb(self) -> bool:
        return os.environ.get("TERM") == "dumb"

    def say(self, text: str) -> None:
        """Write a paragraph."""
        self.console.print(Text(text))

    def stage(self, number: int, name: str, what: str, seconds: float) -> None:
        """Write one finished stage on one line."""
        line = Table.grid(padding=(0, 1), expand=True)
        line.add_column(width=len(self._mark))
        line.add_column(width=12)
        line.add_column(ratio=1)
        line.add_column(justify="right", width=7)
        line.add_row(
            Text(self._mark, "green"),
            Text(f"{number} {name}", "bold"),
            Text(what),
            Text(f"{seconds:.1f} s", "dim"),
        )
        self.console.print(line)

    @contextmanager
    def progress(self) -> Iterator[Progress]:
        """Show sending: bars on a terminal, else a line every ten seconds."""
        if not self.lively:
            yield _Lines(self)
            return
        started = ticking()
        with Live(console=self.console, refresh_per_second=4) as live:
            yield lambda figures: live.update(_bars(figures, ticking() - started))

    def result(self, channels: Numbers) -> None:
        """Write the result table, and how it adds up."""
        table = Table(
            box=SIMPLE_HEAD if self._fancy else ASCII, pad_edge=False, padding=(0, 0, 0, 1)
        )
        table.add_column("Result")
        for name in RESULT:
            table.add_column(name, justify="right")
        for channel in CHANNELS:
            if channel in channels:
                cells = [f"{channels[channel][name]:,}" for name in RESULT]
                table.add_row(TITLES[channel], *cells)
        self.console.print(table)
        clicked, replied = (sum(one[name] for one in channels.values()) for name in FURTHER)
        self.say(f"{ADDS_UP}\n{clicked:,} clicked a link, {replied:,} replied.")

    def box(self, title: str, rows: Mapping[str, str]) -> None:
        """Write what to do next."""
        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="bold", no_wrap=True)
        grid.add_column(overflow="fold")
        for name, text in rows.items():
            grid.add_row(name, Text(text))
        box = ROUNDED if self._fancy else ASCII
        self.console.print(Panel(grid, title=title, title_align="left", box=box, width=WIDTH))


class _Lines:
    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._next = ticking() + PLAIN_SECONDS

    def __call__(self, figures: Figures) -> None:
        if ticking() < self._next:
            return
        self._next = ticking() + PLAIN_SECONDS
        self._screen.say("  " + "  ".join(_counted(figures)))


def _counted(figures: Figures) -> Iterator[str]:
    for channel in CHANNELS:
        if channel in figures.channels:
            numbers = figures.channels[channel]
            total = numbers["audience"]
            yield f"{TITLES[channel]} {total - numbers['queued']:,}/{total:,}"


def _bars(figures: Figures, seconds: float) -> Group:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=2)
    grid.add_column(width=12)
    grid.add_column(width=26)
    grid.add_column(justify="right", width=11)
    grid.add_column(width=18)
    for channel in CHANNELS:
        if channel in figures.channels:
            numbers = figures.channels[channel]
            total, done = numbers["audience"], numbers["audience"] - numbers["queued"]
            bar = ProgressBar(total=max(total, 1), completed=done, width=26)
            grid.add_row("", TITLES[channel], bar, f"{done:,}/{total:,}", _rate(numbers, seconds))
    return Group(grid)


def _rate(numbers: Mapping[str, int], seconds: float) -> str:
    if numbers["queued"]:
        return f"{numbers['sent'] / max(seconds, 0.1):,.0f}/s"
    if not numbers["sent"]:
        return ""
    return f"{100 * numbers['delivered'] / numbers['sent']:.1f} % delivered"


def _width(stream: TextIO) -> int:
    if not stream.isatty():
        return WIDTH
    return min(WIDTH, Console(file=stream).width)


def standard(*, as_json: bool) -> Screen:
    """Return the screen of a command: standard error where standard output is for JSON."""
    return Screen(sys.stderr if as_json else sys.stdout)
