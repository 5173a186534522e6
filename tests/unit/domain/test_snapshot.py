"""A snapshot as it travels and as it is asked."""

from tollway.domain.key import KeyRecord
from tollway.domain.model import ModelRecord
from tollway.domain.provider import ProviderKind, ProviderRecord
from tollway.domain.snapshot import EMPTY, SnapshotRows, find_model, index, visible_models
from tollway.domain.tenant import TenantRecord


def test_rows_are_found_by_their_keys():
    """Every row that travelled can be asked for, and the opened peppers are with them."""
    tenant = TenantRecord("ten_a", "a", "A", b"")
    key = KeyRecord("key_a", "ten_a", b"", 1)
    provider = ProviderRecord("prv_a", "p", ProviderKind.ECHO, "")
    model = ModelRecord("mdl_a", "m", ())
    rows = SnapshotRows(7, ((1, b"wrapped"),), (tenant,), (key,), (provider,), (model,))
    snapshot = index(rows, {1: b"open"})
    assert snapshot.version == 7
    assert snapshot.peppers == {1: b"open"}
    assert snapshot.tenants == {"ten_a": tenant}
    assert snapshot.keys == {"key_a": key}
    assert snapshot.providers == {"prv_a": provider}
    assert find_model(snapshot, "ten_a", "m") is model
    assert visible_models(snapshot, "ten_a") == [model]


def test_the_empty_snapshot_is_older_than_any():
    """Before the first load nobody is known."""
    assert EMPTY.version < 0
    assert find_model(EMPTY, "ten_a", "m") is None
    assert visible_models(EMPTY, "ten_a") == []
