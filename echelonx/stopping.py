"""Stopping: a process that is asked to end finishes what it has in hand; asked twice, it ends now.

SIGTERM and Ctrl+C ask. With `--until-stdin-closes`, so does the end of standard input: a child then
never outlives the process that started it, however that one died.
"""

import os
import signal
import sys
from threading import Event, Thread
from types import FrameType

INTERRUPTED = 130


class Stop:
    """Whether this process was asked to end."""

    def __init__(self, *, until_stdin_closes: bool = False) -> None:
        """Take over SIGTERM and SIGINT; call it in the main thread."""
        self._asked = Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        if until_stdin_closes:
            Thread(target=self._watch_stdin, name="stdin", daemon=True).start()

    def wait(self, seconds: float) -> bool:
        """Wait until asked, for `seconds` at most; say whether it was."""
        return self._asked.wait(seconds)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        if self._asked.is_set():
            os._exit(INTERRUPTED)
        self._asked.set()

    def _watch_stdin(self) -> None:
        while sys.stdin.buffer.read(4096):
            pass
        self._asked.set()
