"""L1, L2 and L10: what the sending protocol costs, beside the naive variant, and how it recovers.

Providers are the simulators, which answer after 5 ms; everything shares this machine's cores. The
naive variant claims and sends, writes no intent, and queues again whatever stopped: it gives the
guarantee away, and is what the guarantee is compared with.
"""

import signal
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from bench.process import usage
from communications.dispatch import Dispatcher
from communications.status import STEPS, Status, Step
from tests.faults import naive as naive_variant
from tests.faults.fleet import Fleet
from tests.faults.stage import Stage, fresh, stage
from tests.faults.zygote import Zygote, hatching

LATENCY = 0.005
WORKERS = {"sqlite": 1, "postgresql": 4}
WINDOWS = {"twilio": 400, "sendgrid": 1000, "smtp": 400}
WARM, DONE = 0.1, 0.9
"""Measured between these shares of the messages: starting and ending are other figures."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast one run went."""

    rate: float
    cpu_us: float
    """Of the workers, a message."""
    provider_us: float
    """Of the simulator, a message."""
    unknown: int


def careless() -> None:
    """Turn a worker into the naive variant: no intent, and what is lost is queued again."""
    naive_variant.spoil()
    for step in (Step.REFUSE, Step.RETRY, Step.LOSE):
        allowed, target = STEPS[step]
        STEPS[step] = (allowed | {Status.QUEUED}, target)

    def intend(self: Dispatcher, account_id: int, ids: Sequence[int], owner: str) -> set[int]:
        del self, account_id, owner
        return set(ids)

    Dispatcher._intend = intend  # type: ignore[method-assign]


@contextmanager
def playing(kind: str, adapter: str, people: int, *, lease: int = 120) -> Iterator[Stage]:
    """A stage in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        place = Path(folder)
        settings = {"ECHELONX_LEASE_SECONDS": str(lease), "ECHELONX_PUMP_SECONDS": "5"}
        with (
            fresh(kind, place) as url,
            stage(
                url, place,
                people=people, script={adapter: {"latency": LATENCY}},
                window=WINDOWS[adapter], adapter=adapter, settings=settings,
            ) as on,
        ):  # fmt: skip
            yield on


def pace(zygote: Zygote, kind: str, adapter: str, people: int, *, naive: bool) -> Pace:
    """Send to everybody and return the pace of the middle."""
    patch = "bench.protocol:careless" if naive else ""
    with playing(kind, adapter, people) as on:
        with Fleet(zygote, on.environment, on.log.parent, WORKERS[kind], patch=patch) as fleet:
            fleet.until(lambda: alive(on) >= WORKERS[kind], "the workers")
            on.launch()
            fleet.until(lambda: on.accepted() >= people * WARM, "the first tenth")
            before = snapshot(on, fleet)
            fleet.until(lambda: on.accepted() >= people * DONE, "nine tenths")
            after = snapshot(on, fleet)
            fleet.until(on.at_rest, "the last message")
        unknown = on.counts().get("unknown", 0)
    at, done, cpu, provider = (late - early for early, late in zip(before, after, strict=True))
    return Pace(done / at, cpu / done * 1e6, provider / done * 1e6, unknown)


def snapshot(on: Stage, fleet: Fleet) -> tuple[float, float, float, float]:
    """Time, messages taken, CPU seconds of the workers and of the simulator."""
    cpu = sum(usage(process.pid).cpu_seconds for process in fleet.processes)
    provider = usage(on.providers.process.pid).cpu_seconds
    return time.perf_counter(), float(on.accepted()), cpu, provider


def alive(on: Stage) -> int:
    """How many workers have said that they are."""
    with on.services.engine.connect() as connection:
        return int(connection.exec_driver_sql("SELECT count(*) FROM workers").scalar_one())


def recovery(zygote: Zygote, kind: str, people: int) -> tuple[float, float]:
    """L10: seconds from `kill -9` of every worker to the next message, and to no row `sending`."""
    lease = 20
    with playing(kind, "twilio", people, lease=lease) as on:
        count = 1 if kind == "sqlite" else 2
        with Fleet(zygote, on.environment, on.log.parent, count) as fleet:
            fleet.until(lambda: alive(on) >= len(fleet.processes), "the workers")
            on.launch()
            fleet.until(lambda: on.accepted() > people // 3, "a third")
            for process in fleet.processes:
                process.send_signal(signal.SIGKILL)
            killed = time.perf_counter()
            fleet.until(lambda: all(p.poll() is not None for p in fleet.processes), "the kill", 5)
            taken = on.accepted()
            fleet.until(lambda: on.accepted() > taken, "the next message", 60)
            first = time.perf_counter() - killed
            fleet.until(on.at_rest, "the last message")
            return first, time.perf_counter() - killed - lease


@click.command()
@click.option("--messages", default=20_000, show_default=True)
@click.option("--adapter", "adapters", multiple=True, default=("twilio", "sendgrid"))
@click.option("--database", "kinds", multiple=True, default=("sqlite", "postgresql"))
def main(messages: int, adapters: tuple[str, ...], kinds: tuple[str, ...]) -> None:
    """Print the pace of each, and the ratio to the naive variant."""
    with hatching() as zygote:
        for kind in kinds:
            for adapter in adapters:
                ours = pace(zygote, kind, adapter, messages, naive=False)
                theirs = pace(zygote, kind, adapter, messages, naive=True)
                print(
                    f"{'L1' if kind == 'sqlite' else 'L2'} {kind:10} {adapter:9}"
                    f" {ours.rate:7,.0f}/s  naive {theirs.rate:7,.0f}/s"
                    f"  ratio {ours.rate / theirs.rate:.2f}"
                    f"   worker {ours.cpu_us:.0f} µs, simulator {ours.provider_us:.0f} µs"
                    f" CPU a message, {ours.unknown} unknown",
                    flush=True,
                )
            first, clean = recovery(zygote, kind, min(messages, 5000))
            print(f"L10 {kind}: next message {first:.1f} s after kill -9; all settled "
                  f"{clean:+.1f} s after the lease", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
