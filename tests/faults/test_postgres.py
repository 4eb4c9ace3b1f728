"""The private PostgreSQL keeps what was committed over a crash."""

from pathlib import Path

from sqlalchemy import Engine, text

from core.db import open_engine
from tests.faults.postgres import cluster


def _count(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text("SELECT count(*) FROM kept")).scalar_one())


def test_a_crash_loses_nothing_committed(tmp_path: Path) -> None:
    with cluster(tmp_path) as database:
        engine = open_engine(database.url)
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE kept AS SELECT 1 AS number"))
        engine.dispose()
        database.restart_immediately()
        assert _count(engine) == 1
        database.stop()
        database.start()
        engine.dispose()
        assert _count(engine) == 1
        engine.dispose()
    assert "database system is ready" in (tmp_path / "postgres.log").read_text()
