"""The page about the database names what there is: every table, every column, every reference."""

import re
from pathlib import Path

import pytest

from tollway.adapters.sql.tables import metadata

PAGE = (Path(__file__).parents[4] / "docs" / "database.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"(?ms)^### (\w+)\n(.*?)(?=^##|\Z)", PAGE))
ORIGINAL = (
    "tenants",
    "users",
    "api_keys",
    "llm_providers",
    "llm_provider_configurations",
    "llm_provider_routing_strategies",
    "tenant_settings",
    "quotas",
    "quota_limits",
    "audit_logs",
    "token_usage_metrics",
)


def test_every_table_has_its_section():
    """No table without a reason on the page, none that is gone."""
    assert set(SECTIONS) == set(metadata.tables)


@pytest.mark.parametrize("name", sorted(metadata.tables))
def test_columns_and_keys(name):
    """Each column stands in its table's section with its nullability and what it refers to."""
    rows = {match[1]: match[0] for match in re.finditer(r"(?m)^\| `(\w+)` \|.*\|$", SECTIONS[name])}
    table = metadata.tables[name]
    assert set(rows) == set(table.columns.keys())
    for column in table.columns:
        cells = [cell.strip() for cell in rows[column.name].split("|")]
        assert (cells[3] == "yes") is column.nullable, column.name
        assert ("primary" in cells[4]) is column.primary_key, column.name
        for key in column.foreign_keys:
            assert key.target_fullname in cells[4], column.name


@pytest.mark.parametrize("name", ORIGINAL)
def test_the_original_names_are_mapped(name):
    """Who knows the original schema finds where each table went."""
    table = PAGE.partition("## From the original schema")[2]
    assert f"`{name}`" in table
