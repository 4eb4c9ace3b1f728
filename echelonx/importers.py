"""Importers: a worker's share in imports: one chunk a unit, of one import at a time; and undos.

Only jobs whose file lies in this process's data directory are taken up: where several machines
work, they share that directory. A file is deleted when its import has ended.
"""

import secrets
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from core.db import read, write
from core.log import get
from echelonx.wiring import Services
from members.errors import ImportFileError
from members.import_job import ENDED, ImportJob, claim
from members.importing import ImportRun, rare_collection
from members.undo import advance_undo, undo_waits

log = get(__name__)

FOLDER = "imports"


class Importers:
    """Runs the imports of this machine's uploads."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._folder = services.settings.data_dir / FOLDER
        self._run: ImportRun | None = None

    def unit(self) -> bool:
        """Take one chunk, or take up a job; say whether there may be more to do."""
        if self._run is None and not self._took_up():
            return self._undid()
        run = self._run
        if run is None:
            return False
        try:
            with rare_collection():
                more = run.step()
        except (ImportFileError, DBAPIError) as error:
            # The job says why; the next one may fare better.
            log.warning("import failed", import_id=run.job_id, error=type(error).__name__)
            more = False
        if not more:
            run.close()
            self._run = None
        return True

    def close(self) -> None:
        """Let go of an import in progress; whoever comes next goes on with it."""
        if self._run is not None:
            self._run.close()
            self._run = None

    def _undid(self) -> bool:
        sessions, clock = self._services.sessions, self._services.clock
        with read(sessions) as session:
            if not undo_waits(session):
                return False
        with write(sessions) as session:
            return advance_undo(session, clock)

    def _took_up(self) -> bool:
        services = self._services
        kept = self._kept()
        if not kept:
            return False
        self._clear(kept)
        runner = secrets.token_hex(8)
        with write(services.sessions) as session:
            job_id = claim(session, services.clock, runner=runner, names=kept)
            if job_id is None:
                return False
            name = session.get_one(ImportJob, job_id).kept_as or ""
        self._run = ImportRun(
            services.sessions,
            services.clock,
            services.hasher,
            job_id=job_id,
            path=self._folder / name,
            runner=runner,
        )
        return True

    def _kept(self) -> list[str]:
        folder: Path = self._folder
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []

    def _clear(self, kept: list[str]) -> None:
        """Delete the files of imports that have ended."""
        with read(self._services.sessions) as session:
            query = select(ImportJob.kept_as).where(
                ImportJob.kept_as.in_(kept), ImportJob.status.in_(ENDED)
            )
            ended = list(session.scalars(query))
        for name in ended:
            (self._folder / str(name)).unlink(missing_ok=True)
