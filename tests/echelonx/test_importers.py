"""Mirrors echelonx/importers.py."""

from pathlib import Path

import pytest

from core.db import write
from core.settings import Settings
from echelonx.importers import Importers
from echelonx.wiring import Services, build
from members.import_job import ImportJob, ImportStatus, queue_import
from members.importing import ImportOptions


@pytest.fixture
def services(database_url: str, tmp_path: Path, clock):
    settings = Settings(database_url=database_url, data_dir=tmp_path)
    built = build(settings, clock)
    yield built
    built.close()


def upload(services: Services, client_id: int, name: str, text: str | None) -> int:
    folder = services.settings.data_dir / "imports"
    folder.mkdir(exist_ok=True)
    if text is not None:
        (folder / name).write_text(text)
    with write(services.sessions) as session:
        return queue_import(
            session,
            services.clock,
            client_id=client_id,
            filename="people.csv",
            options=ImportOptions(),
            kept_as=name,
        ).id


def status(services: Services, job_id: int) -> ImportStatus:
    with services.sessions() as session:
        return session.get_one(ImportJob, job_id).status


def test_uploads_are_imported_one_after_the_other_and_then_deleted(services, client_id) -> None:
    good = upload(services, client_id, "a", "email\nana@example.com\n")
    bad = upload(services, client_id, "b", "town\nPorto\n")
    elsewhere = upload(services, client_id, "c", None)
    importers = Importers(services)

    while importers.unit():
        pass

    assert status(services, good) is ImportStatus.DONE
    assert status(services, bad) is ImportStatus.FAILED
    assert status(services, elsewhere) is ImportStatus.QUEUED
    assert list((services.settings.data_dir / "imports").iterdir()) == []
    assert not importers.unit()
