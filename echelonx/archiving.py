"""Archiving: a worker's share in exports of whole clients: some thousand rows of one a unit."""

import os
from contextlib import ExitStack
from pathlib import Path

from accounts.client_archive import ClientArchive
from accounts.client_data import stored, stored_rows
from communications.client_export import archive_waits, still_wanted, take_up
from communications.export import Export, mark_done
from communications.export_file import sha256_of
from core.db import read, snapshot, write
from echelonx.wiring import Services


class Archiving:
    """Writes the archives that clients asked for."""

    def __init__(self, services: Services, folder: Path) -> None:
        self._services = services
        self._folder = folder
        self._run: _Run | None = None

    def unit(self) -> bool:
        """Write some rows, or take up an archive; say whether there may be more to do."""
        run, self._run = self._run, None
        if run is None:
            self._run = self._took_up()
            return self._run is not None
        with ExitStack() as unless_it_goes_on:
            unless_it_goes_on.callback(run.close)
            if self._went_on(run):
                unless_it_goes_on.pop_all()
                self._run = run
        return True

    def close(self) -> None:
        """Let go of what is being written; whoever takes it up begins anew."""
        run, self._run = self._run, None
        if run is not None:
            run.close()

    def _took_up(self) -> "_Run | None":
        services = self._services
        with read(services.sessions) as session:
            if not archive_waits(session, services.clock):
                return None
        with write(services.sessions) as session:
            one = take_up(session, services.clock)
        return _Run(services, one, self._folder / one.kept_as) if one is not None else None

    def _went_on(self, run: "_Run") -> bool:
        """Say whether there is more to write, and still somebody who wants it.

        Whatever is raised here, a full disk as a rule: it begins anew when the lease is over.
        """
        services, more = self._services, run.step()
        with write(services.sessions) as session:
            wanted = still_wanted(
                session, services.clock, run.export, rows=run.archive.rows, of=run.total
            )
        if wanted and not more:
            self._finish(run)
        return wanted and more

    def _finish(self, run: "_Run") -> None:
        run.close()
        size, digest = run.path.stat().st_size, sha256_of(run.path)
        with write(self._services.sessions) as session:
            mark_done(
                session, self._services.clock, run.export.id,
                kept_as=run.export.kept_as, size=size, sha256=digest,
            )  # fmt: skip


class _Run:
    """One archive while it is written, over one look at the database."""

    def __init__(self, services: Services, export: Export, path: Path) -> None:
        self.export = export
        self.path = path
        self.archive = ClientArchive()
        path.parent.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            self._out = out = stack.enter_context(path.open("wb"))
            session = stack.enter_context(snapshot(services.sessions))
            self.total = sum(stored_rows(session, export.client_id).values())
            tables, at = stored(session, export.client_id), services.clock.now()
            self._pauses = self.archive.write(out, tables, client_id=export.client_id, at=at)
            stack.callback(self._pauses.close)
            self._stack = stack.pop_all()

    def step(self) -> bool:
        """Write up to the next pause; False when everything is written, to the disk."""
        if next(self._pauses, self) is None:
            return True
        self._out.flush()
        os.fsync(self._out.fileno())
        return False

    def close(self) -> None:
        """Let go of the file and the database."""
        self._stack.close()
