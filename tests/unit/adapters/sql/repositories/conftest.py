"""Every test of the repositories runs on each store."""

import pytest

from tests.fakes import database


@pytest.fixture
def engine(tmp_path):
    engine = database.database(tmp_path)
    yield engine
    engine.dispose()


@pytest.fixture
def configuration(engine):
    return database.configuration(engine)
