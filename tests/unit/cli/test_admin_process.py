"""What the admin process does about a database that was away when it started."""

import pytest

from tollway.app.ports import StoreUnavailableError
from tollway.cli import admin as module
from tollway.config import SettingsError


class FakeAdmin:
    """Each check ends as the test says."""

    def __init__(self, *ends):
        self.checked = False
        self.ends = list(ends)

    def check(self):
        end = self.ends.pop(0)
        if end is not None:
            raise end
        self.checked = True


@pytest.fixture
def left(monkeypatch):
    monkeypatch.setattr(module, "_CHECK_S", 0.0)
    return []


async def test_it_asks_until_it_knows(left):
    """And goes on when the schema is right."""
    admin = FakeAdmin(StoreUnavailableError("away"), StoreUnavailableError("away"), None)
    await module._check_later(admin, lambda: left.append(1))
    assert (admin.checked, left) == (True, [])


async def test_it_ends_when_the_schema_is_another(left):
    """Its successor says why."""
    admin = FakeAdmin(StoreUnavailableError("away"), SettingsError("run tollway migrate"))
    await module._check_later(admin, lambda: left.append(1))
    assert (admin.checked, left) == (False, [1])
