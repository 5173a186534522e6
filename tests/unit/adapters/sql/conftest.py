"""What the stores have in common is tested on each."""

import pytest

from tests.fakes import database
from tests.fakes.stores import STORES, store


@pytest.fixture(params=STORES)
def engine(request, tmp_path):
    with store(request.param, tmp_path) as engine:
        yield engine


@pytest.fixture
def configuration(engine):
    return database.configuration(engine)
