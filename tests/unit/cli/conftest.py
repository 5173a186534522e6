"""An admin API on a socket for the commands' tests."""

import pytest

from tests.fakes.admin_server import AdminServer


@pytest.fixture
def api(tmp_path):
    server = AdminServer(tmp_path)
    yield server
    server.close()
