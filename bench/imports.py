"""Imports: rows a second and memory, on PostgreSQL and SQLite, beside a plain COPY of the file.

`python -m bench.imports [--rows 1000000] [--sqlite-rows 100000] [--shape plain|full] [--profile]`

`plain` is what a newsletter's file holds (an id, an address, a name, a town); `full` has everything
the demo's has: phone, push token, tags, three consents. The COPY goes into a table of text columns
without any index: what PostgreSQL needs to read the file, and nobody could be told from it.
"""

import argparse
import cProfile
import pstats
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

from sqlalchemy import Engine, make_url, text
from sqlalchemy.orm import sessionmaker

from accounts.client import Client
from bench.process import usage
from core.address import AddressHasher
from core.clock import SystemClock
from core.db import open_engine, write
from echelonx.tables import METADATA
from members.importing import ImportOptions, import_csv

SERVER = "postgresql://postgres@127.0.0.1:5432/postgres"
DATABASE = "echelonx_bench_imports"
PLAIN = "member_id,email,first_name,last_name,attributes.city,attributes.plan"
FULL = PLAIN + ",phone,push_token,tier,timezone,total_spend,tags,consent.email,consent.sms"
CITIES = ("Lisbon", "Berlin", "Kraków", "Lyon", "Dublin", "Porto", "Malmö", "Vienna")
FIRST = ("Ana", "Jonas", "Mia", "Léa", "Zoë", "Søren", "Priya", "Yuki", "Omar", "Kofi")
LAST = ("García", "Müller", "Novák", "Okafor", "Silva", "Rossi", "Haddad", "Tanaka", "Costa")


def make_file(path: Path, rows: int, shape: str, seed: int = 7) -> None:
    """Write a file of invented people; one row in a hundred has an address that cannot be."""
    rng = random.Random(seed)
    pick = rng.choice
    with path.open("w", encoding="utf-8") as file:
        file.write((PLAIN if shape == "plain" else FULL) + "\n")
        for number in range(rows):
            address = f"person{number}@shop{number % 50}.example"
            if number % 100 == 99:
                address = address.replace("@", ",").replace(",", " at ")
            line = f"C-{number},{address},{pick(FIRST)},{pick(LAST)},{pick(CITIES)},pro"
            if shape == "full":
                phone = f"+1201{2_000_000 + number:07d}" if number % 10 < 6 else ""
                line += (
                    f",{phone},{rng.getrandbits(256):064x},premium,Europe/Berlin,"
                    f"{rng.random() * 500:.2f},newsletter;fair,yes,no"
                )
            file.write(line + "\n")


def run_import(url: str, path: Path, profile: bool) -> None:
    """Import into an empty database and print what it took; runs in a process of its own."""
    engine = open_engine(url)
    METADATA.create_all(engine)
    sessions = sessionmaker(engine, expire_on_commit=False)
    clock = SystemClock()
    with write(sessions) as session:
        client = Client(name="B", country="US", created_at=clock.now(), updated_at=clock.now())
        session.add(client)
        session.flush()
        client_id = client.id
    profiler = cProfile.Profile()
    if profile:
        profiler.enable()
    for attempt in ("first", "again"):
        before, spent, served = perf_counter(), process_time(), usage_of_server(engine)
        job = import_csv(
            sessions,
            clock,
            AddressHasher(b"h" * 32),
            client_id=client_id,
            path=path,
            filename="bench.csv",
            options=ImportOptions(),
        )
        took = perf_counter() - before
        used = usage_of_self()
        print(
            f"  {attempt}: {job.rows / took:>9,.0f} rows/s in {took:.1f} s, "
            f"{(process_time() - spent) / job.rows * 1e6:.1f} µs CPU a row here, "
            f"{(usage_of_server(engine) - served) / job.rows * 1e6:.1f} µs at the server; "
            f"{job.created:,} created, {job.unchanged:,} unchanged, {job.rejected:,} rejected; "
            f"peak {used:.0f} MB",
            flush=True,
        )
        if profile:
            profiler.disable()
            pstats.Stats(profiler).sort_stats("tottime").print_stats(30)
            return


def usage_of_self() -> float:
    """Return this process's highest resident memory in MB."""
    return usage(int(Path("/proc/self").readlink().name)).peak_mb


def usage_of_server(engine: Engine) -> float:
    """Return the CPU seconds that PostgreSQL's processes for this database have used so far."""
    if engine.dialect.name == "sqlite":
        return 0.0
    with engine.connect() as connection:
        pids = connection.scalars(
            text("SELECT pid FROM pg_stat_activity WHERE datname = current_database()")
        )
        return sum(usage(pid).cpu_seconds for pid in pids)


def copy_plain(path: Path, header: str) -> float:
    """Return the seconds PostgreSQL takes to COPY the file into a bare table of text."""
    engine = open_engine(str(make_url(SERVER).set(database=DATABASE)))
    names = ", ".join(f'"{name}" text' for name in header.split(","))
    with engine.begin() as connection:
        connection.execute(text(f"CREATE TABLE plain_copy ({names})"))
        driver: Any = connection.connection.driver_connection
        before = perf_counter()
        with (
            path.open("rb") as file,
            driver.cursor() as cursor,
            cursor.copy("COPY plain_copy FROM STDIN (FORMAT csv, HEADER)") as copy,
        ):
            while block := file.read(1 << 20):
                copy.write(block)
        took = perf_counter() - before
    engine.dispose()
    return took


def fresh_database() -> str:
    """Make an empty database; return its URL."""
    admin = open_engine(SERVER)
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)"))
        connection.execute(text(f"CREATE DATABASE {DATABASE}"))
    admin.dispose()
    return str(make_url(SERVER).set(database=DATABASE))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--sqlite-rows", type=int, default=100_000)
    parser.add_argument("--shape", choices=("plain", "full"), default="plain")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.url:
        run_import(given.url, given.file, given.profile)
        return
    extra = ["--profile"] if given.profile else []
    with tempfile.TemporaryDirectory() as folder:
        for name, rows in (("PostgreSQL", given.rows), ("SQLite", given.sqlite_rows)):
            if not rows:
                continue
            path = Path(folder) / "people.csv"
            make_file(path, rows, given.shape)
            print(f"{name}: {rows:,} rows, {given.shape}, {path.stat().st_size >> 20} MB")
            url = fresh_database() if name == "PostgreSQL" else f"sqlite:///{folder}/bench.db"
            own = [sys.executable, "-m", "bench.imports", "--url", url, "--file", str(path)]
            subprocess.run([*own, *extra], check=True)
            if name == "PostgreSQL":
                took = copy_plain(path, FULL if given.shape == "full" else PLAIN)
                print(f"  COPY into bare text columns: {rows / took:>9,.0f} rows/s", flush=True)


if __name__ == "__main__":
    main()
