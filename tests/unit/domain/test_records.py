"""Records: what every value that travels has to keep."""

import dataclasses

import pytest

from tollway.domain.account import AccountRecord, ProjectRecord, Role
from tollway.domain.model import ModelRecord, Strategy
from tollway.domain.provider import CredentialRecord, ProviderKind, ProviderRecord
from tollway.domain.tenant import TenantRecord

RECORDS = [
    TenantRecord("ten_a", "a", "A", b""),
    AccountRecord("acc_a", "a@b", "A"),
    ProjectRecord("prj_a", "ten_a", "p"),
    ModelRecord("mdl_a", "m", ()),
    ProviderRecord("prv_a", "p", ProviderKind.ECHO, ""),
    CredentialRecord("crd_a"),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_records_never_change(record):
    """A snapshot is shared by all requests of a process."""
    name = dataclasses.fields(record)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(record, name, "other")
    assert not hasattr(record, "__dict__")
    assert hash(record) == hash(dataclasses.replace(record))


def test_names_in_the_database_never_change():
    """These stand in rows and files."""
    assert [role.value for role in Role] == ["tenant_admin", "user", "viewer"]
    assert {"priority", "round_robin", "weighted"} <= {one.value for one in Strategy}
    assert {"openai", "openai_compatible", "echo"} <= {one.value for one in ProviderKind}
