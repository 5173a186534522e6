"""Every test of the repositories runs on each store."""

import pytest

from tests.fakes import database
from tests.fakes.postgres import postgres_database
from tollway.adapters.sql.engine import SqlOptions, open_engine


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def engine(request, tmp_path):
    if request.param == "sqlite":
        engine = database.database(tmp_path)
        yield engine
        engine.dispose()
        return
    with postgres_database() as url:
        engine = open_engine(SqlOptions(url))
        yield engine
        engine.dispose()


@pytest.fixture
def configuration(engine):
    return database.configuration(engine)
