"""What an id of a kept response is made of."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.domain.access import Principal
from tollway.domain.ids import AccountId, CredentialId, KeyId, ProjectId, ProviderId, TenantId
from tollway.domain.kept import (
    MAX_ID_CHARS,
    KeptResponse,
    id_text,
    owner_of,
    packed,
    sealed_in,
    unpacked,
)
from tollway.domain.key import KeyRecord
from tollway.domain.tenant import TenantRecord

KEPT = KeptResponse(ProviderId("prv_1"), CredentialId("crd_1"), "m", "gpt", "resp_0a1b")


def principal(tenant="ten_a", project=None, account=None, subject=None, key="key_1"):
    record = KeyRecord(
        KeyId(key),
        TenantId(tenant),
        b"",
        1,
        project_id=None if project is None else ProjectId(project),
        account_id=None if account is None else AccountId(account),
    )
    tenant = TenantRecord(TenantId(tenant), "a", "A", b"salt")
    return Principal(tenant, record, subject=subject)


def test_what_is_packed_comes_back():
    """With a credential and without; names in any alphabet."""
    for kept in (KEPT, KEPT._replace(credential_id=None), KEPT._replace(model="größe/模型")):
        assert unpacked(packed(kept)) == kept


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "a b", "a\x00b", "a\nb", "ü", "a?b", "a%2fb", "x" * 1025, "-a"]
)
def test_a_providers_strange_name_is_not_taken(name):
    """It becomes a segment of a path."""
    assert packed(KEPT._replace(upstream_id=name)) is None


def test_the_longest_name_still_makes_an_id():
    """Gateways behind this one seal theirs too. What is sealed here can be read here."""
    kept = KEPT._replace(
        upstream_id="resp_" + "aB9_-=" * 169, model="m" * 256, target_model="t" * 256
    )
    sealed = packed(kept) + b"t" * 16
    assert unpacked(sealed_in(id_text(sealed))[:-16]) == kept


def test_no_name_can_pass_for_two():
    """What stands between the parts stands in none."""
    assert packed(KEPT._replace(model="a\x00b")) is None


@pytest.mark.parametrize(
    "data", [b"", b"1", b"2\x00a\x00b\x00c\x00d\x00e", b"1\x00a\x00b\x00c\x00d"]
)
def test_what_was_never_packed_is_none(data):
    """Another form, or other parts."""
    assert unpacked(data) is None


@given(st.binary(min_size=1, max_size=300))
def test_a_sealed_value_has_one_id(sealed):
    """It reads back, and no other text does."""
    text = id_text(sealed)
    assert text.startswith("resp_")
    assert sealed_in(text) == sealed
    for other in (text + "=", text + "A", text[:-1], text + "\n", " " + text, text.upper()):
        assert other == text or sealed_in(other) != sealed


def test_loose_bits_of_the_last_character_are_refused():
    """Base64 has several texts for one value; only one is an id."""
    assert id_text(b"\x00") == "resp_AA"
    assert [sealed_in(f"resp_A{last}") for last in "BCDEFP"] == [None] * 6


@pytest.mark.parametrize(
    "text",
    [
        "",
        "resp_",
        "resp",
        "RESP_AA",
        "msg_AA",
        "resp_A",
        "resp_A+",
        "resp_ÄÄ",
        "resp_A A",
        "resp_\x00",
    ],
)
def test_other_texts_hold_nothing(text):
    """Whatever a client sends."""
    assert not sealed_in(text)


def test_a_huge_one_is_not_decoded():
    """Longer than any that is made here."""
    assert sealed_in("resp_" + "A" * MAX_ID_CHARS) is None


def test_whose_it_is():
    """Tenant, project, person and a token's subject tell owners apart; the key does not."""
    owners = [
        owner_of(principal(*whose))
        for whose in (
            ("ten_a",),
            ("ten_b",),
            ("ten_a", "prj_1"),
            ("ten_a", "prj_2"),
            ("ten_a", None, "acc_1"),
            ("ten_a", "prj_1", "acc_1"),
            ("ten_a", None, None, "prj_1"),
            ("ten_a", None, None, ""),
            ("ten_a', 'prj_1",),
        )
    ]
    assert len(set(owners)) == len(owners)
    assert owner_of(principal(key="key_2")) == owner_of(principal())
