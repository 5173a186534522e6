"""The settings page and the settings are the same list."""

import re
from pathlib import Path

import msgspec
import pytest

from tollway.config import Settings
from tollway.domain.brand import ENV_PREFIX

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"
ROW = re.compile(rf"^\| `{ENV_PREFIX}([A-Z_]+)` \| (?:`([^`]*)`|-) \| (.+) \|$", re.M)
ROWS = {name.lower(): (default, text) for name, default, text in ROW.findall(PAGE.read_text())}
FIELDS = {field.name: field for field in msgspec.structs.fields(Settings)}


def test_every_setting_has_a_row_and_every_row_a_setting() -> None:
    """Nothing is missing from the page and nothing on it is made up."""
    assert set(ROWS) == set(FIELDS)


@pytest.mark.parametrize("name", sorted(FIELDS))
def test_the_page_gives_the_default(name: str) -> None:
    """What the page calls the default is what the code takes."""
    default = FIELDS[name].default
    shown = ROWS[name][0] or None
    if isinstance(default, float | int):
        assert shown is not None
        assert float(shown) == default
    else:
        assert shown == (default or None)
