"""What tests of tenants, people and keys begin with."""

import shutil

import pytest

from tests.fakes import database
from tests.fakes.acting import work_of
from tests.fakes.people import ROOT, settle


@pytest.fixture(scope="session")
def settled(tmp_path_factory):
    """A folder with a database in which the people live: made once, copied for each test."""
    folder = tmp_path_factory.mktemp("settled")
    engine = database.database(folder)
    with database.configuration(engine).begin() as uow:
        settle(uow)
        uow.commit()
    engine.dispose()
    return folder


@pytest.fixture
def engine(settled, tmp_path):
    shutil.copytree(settled, tmp_path, dirs_exist_ok=True)
    engine = database.database(tmp_path)
    yield engine
    engine.dispose()


@pytest.fixture
def work(engine):
    """A platform administrator's, among two tenants and their people."""
    with database.configuration(engine).begin() as uow:
        yield work_of(uow, ROOT)
