"""Outbox: webhooks still owed, posted late, some repeatedly, in no order, until acknowledged."""

import asyncio
import heapq
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from channels.simulators.client import Client, Post
from channels.simulators.log import Log
from channels.simulators.script import Script

TICK = 0.05
"""Seconds over which events gather into one post."""
CONNECTIONS = 8
BACKOFF, MAX_BACKOFF = 0.2, 3.0
"""Seconds; real providers wait much longer."""

Item = Mapping[str, Any]


def is_2xx(status: int) -> bool:
    """Say what every provider takes for an acknowledgement."""
    return 200 <= status < 300


@dataclass(frozen=True, slots=True)
class Door:
    """One kind of post: how events become a request, and when it counts as done."""

    build: Callable[[Sequence[Item]], Post | None]
    """Signs too. None while there is nowhere to post to."""
    batch: int = 1
    """Events a post carries at most."""
    done: Callable[[int], bool] = is_2xx
    lie: Callable[[Item], Item] | None = None
    """Makes of an event what a forger would claim; None where nothing is signed."""


@dataclass(slots=True)
class Owed:
    """One event to post once; a repeated event is owed several times."""

    id: str
    door: str
    after: float
    """Seconds from now."""
    item: Item = field(repr=False)
    tries: int = 0


def owe(script: Script, event: str, door: str, item: Item, *, repeats: bool = True) -> list[Owed]:
    """Return an event as often as it will be posted, each time with a delay of its own."""
    copies = script.copies(event) if repeats else 1
    return [
        Owed(f"{event}#{copy}", door, script.delayed(event, copy), item) for copy in range(copies)
    ]


class Outbox:
    """What is owed, and the tasks that post it."""

    def __init__(self, script: Script, log: Log, doors: Mapping[str, Door]) -> None:
        self._script = script
        self._log = log
        self._doors = doors
        self._due: list[tuple[float, int, Owed]] = []
        self._number = 0
        self._held: list[Owed] = []
        self._ready: asyncio.Queue[list[Owed]] = asyncio.Queue()
        self._changed = asyncio.Event()
        self.owed: Counter[str] = Counter()
        """Not acknowledged yet, by door."""
        self.acked: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        """Events in posts that were not acknowledged, and went out again."""
        self.forged: Counter[str] = Counter()
        """Forged posts, by whether they were `refused` or `taken`."""

    def add(self, owed: Iterable[Owed]) -> None:
        """Take on more."""
        for one in owed:
            self.owed[one.door] += 1
            self._schedule(one)

    def release(self) -> None:
        """Post what had nowhere to go."""
        held, self._held = self._held, []
        for one in held:
            self._schedule(one)

    async def run(self) -> None:
        """Post for ever."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(CONNECTIONS):
                tasks.create_task(self._carry())
            tasks.create_task(self._gather())

    def _schedule(self, one: Owed) -> None:
        self._number += 1
        due = asyncio.get_running_loop().time() + one.after
        heapq.heappush(self._due, (due, self._number, one))
        self._changed.set()

    async def _gather(self) -> None:
        """Hand over what is due, in handfuls."""
        while True:
            if not self._due:
                self._changed.clear()
                await self._changed.wait()
            await asyncio.sleep(TICK)
            now = asyncio.get_running_loop().time()
            due: list[Owed] = []
            while self._due and self._due[0][0] <= now:
                due.append(heapq.heappop(self._due)[2])
            for batch in self._batches(due):
                self._ready.put_nowait(batch)

    def _batches(self, due: list[Owed]) -> Iterable[list[Owed]]:
        due.sort(key=lambda one: self._script.roll(one.id, one.tries, "order"))
        doors: dict[str, list[Owed]] = defaultdict(list)
        for one in due:
            doors[one.door].append(one)
        for door, ready in doors.items():
            size = self._doors[door].batch
            yield from (ready[start : start + size] for start in range(0, len(ready), size))

    async def _carry(self) -> None:
        """Post one handful after the other, over a connection of its own."""
        client = Client()
        try:
            while True:
                await self._post(client, await self._ready.get())
        finally:
            client.close()

    async def _post(self, client: Client, batch: list[Owed]) -> None:
        name = batch[0].door
        door = self._doors[name]
        post = door.build([one.item for one in batch])
        if post is None:
            self._held += batch
            return
        if door.lie and self._script.forges(batch[0].id, batch[0].tries):
            await self._forge(client, post, door.build([door.lie(one.item) for one in batch]))
        status = await client.send(post)
        if status is not None and door.done(status):
            self._log.acknowledge(one.id for one in batch)
            self.owed[name] -= len(batch)
            self.acked[name] += len(batch)
            return
        self.failed[name] += len(batch)
        for one in batch:
            wait = min(BACKOFF * 2**one.tries, MAX_BACKOFF)
            one.tries += 1
            one.after = wait * (0.5 + self._script.roll(one.id, one.tries, "backoff"))
            self._schedule(one)
        if status is None:  # nobody is there: do not knock with everything we have
            await asyncio.sleep(BACKOFF)

    async def _forge(self, client: Client, real: Post, lie: Post | None) -> None:
        """Post a lie about real messages under the signature of something true."""
        if lie is None:
            return
        status = await client.send(replace(lie, headers=real.headers))
        if status is not None and status < 500:
            self.forged["taken" if is_2xx(status) else "refused"] += 1
