"""Exporters: a worker's share in exports: a slice a unit, the oldest export first.

Beside it a unit writes a part of a client's archive (archiving.py), which may take long. Where
several machines work, they share the data directory. A file is deleted a week after it was made, or
when its export is.
"""

from pathlib import Path

from communications import export
from communications.export import Export
from communications.export_file import finish, written_to
from communications.export_rows import MESSAGE_COLUMNS
from core.db import read, write
from core.errors import EngineError
from core.log import get
from echelonx.archiving import Archiving
from echelonx.care import Every
from echelonx.wiring import Services
from members.exporting import COLUMNS

log = get(__name__)

FOLDER = "exports"
TIDY_SECONDS = 60.0


class Exporters:
    """Writes the exports that clients asked for."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._folder = services.settings.data_dir / FOLDER
        self._archiving = Archiving(services, self._folder)
        self._tidy_round = Every(TIDY_SECONDS)

    def unit(self) -> bool:
        """Write one slice, or finish a file; say whether there may be more to do."""
        if self._tidy_round.due():
            self._tidy()
        with read(self._services.sessions) as session:
            waits = export.waiting(session)
        if not waits:
            self.close()  # if it was at one, nobody wants it any longer
            return False
        try:
            archives = self._archiving.unit()
            return self._advance() or archives
        except OSError as error:
            # A full disk: it goes on where it was, once there is room.
            log.warning("export waits", error=type(error).__name__)
            return False

    def close(self) -> None:
        """Let go of an archive in progress; whoever comes next begins it anew."""
        self._archiving.close()

    def _advance(self) -> bool:
        """Take the oldest export a slice further; one that cannot be written keeps no other."""
        self._folder.mkdir(parents=True, exist_ok=True)
        sessions, clock = self._services.sessions, self._services.clock
        export_id = 0
        try:
            with write(sessions) as session:
                one = export.next_export(session)
                if one is None:
                    return False
                export_id = one.id
                more = export.write_slice(session, clock, one, self._part(one))
            if not more:
                self._finish(one)
        except EngineError as error:
            log.warning("export failed", export=export_id, code=error.code)
            with write(sessions) as session:
                export.mark_failed(session, clock, export_id, reason=str(error))
        return True

    def _finish(self, one: Export) -> None:
        columns = COLUMNS if one.of is export.ExportOf.MEMBERS else MESSAGE_COLUMNS
        target = self._folder / one.kept_as
        digest = finish(target, one.format, columns)
        size = target.stat().st_size
        with write(self._services.sessions) as session:
            export.mark_done(
                session, self._services.clock, one.id,
                kept_as=one.kept_as, size=size, sha256=digest,
            )  # fmt: skip
        if self._part(one) != target:
            self._part(one).unlink(missing_ok=True)

    def _part(self, one: Export) -> Path:
        return written_to(self._folder / one.kept_as, one.format)

    def _tidy(self) -> None:
        """Delete the files that nobody wants any longer."""
        if not self._folder.is_dir():
            return
        there = list(self._folder.iterdir())
        with write(self._services.sessions) as session:
            export.expire_exports(session, self._services.clock)
            wanted = export.kept_names(session)
        for path in there:
            if path.name.partition(".")[0] not in wanted:
                path.unlink(missing_ok=True)
