"""Which keys of a document are used, and for what."""

from typing import Any

import pytest
from joserfc.jwk import ECKey, OctKey, RSAKey

from tests.fakes.issuer import EC_KEY, OTHER_RSA_KEY, RSA_KEY, sign
from tollway.adapters.identity.keyset import KeySet

RSA = RSA_KEY.as_dict(private=False)
EC = EC_KEY.as_dict(private=False)
P384 = ECKey.generate_key("P-384", {"kid": "p384"})
P521 = ECKey.generate_key("P-521", {"kid": "p521"})


def keys(*entries: Any) -> KeySet:
    return KeySet({"keys": list(entries)})


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (RSA_KEY, "RS256"), (RSA_KEY, "RS384"), (RSA_KEY, "RS512"), (RSA_KEY, "PS256"),
        (RSA_KEY, "PS384"), (RSA_KEY, "PS512"), (EC_KEY, "ES256"), (P384, "ES384"),
        (P521, "ES512"),
    ],
)  # fmt: skip
def test_every_algorithm_is_checked(key: RSAKey | ECKey, algorithm: str) -> None:
    """A right signature passes; one bit more, another key or another algorithm does not."""
    found = keys(key.as_dict(private=False)).find(algorithm, key.kid)
    assert found is not None
    token = sign({"sub": "x"}, key, algorithm=algorithm)
    assert found.signed(token.encode(), algorithm)
    head, _, signature = token.rpartition(".")
    wrong = "A" if signature[0] != "A" else "B"
    assert not found.signed(f"{head}.{wrong}{signature[1:]}".encode(), algorithm)
    assert not found.signed(f"{head[:-2]}AA.{signature}".encode(), algorithm)
    assert not found.signed(f"{head}.AAAA".encode(), algorithm)


def test_another_key_does_not_pass() -> None:
    """A signature under a key of the same kind and name."""
    found = keys(RSA).find("RS256", "rsa-1")
    assert found is not None
    token = sign({"sub": "x"}, OTHER_RSA_KEY, kid="rsa-1")
    assert not found.signed(token.encode(), "RS256")


def test_a_key_is_of_one_family() -> None:
    """No RSA key for an ECDSA token, no curve for another, no algorithm but the key's own."""
    assert keys(RSA).find("ES256", "rsa-1") is None
    assert keys(EC).find("RS256", "ec-1") is None
    assert keys(EC).find("ES384", "ec-1") is None
    assert keys({**RSA, "crv": "P-256"}).find("ES256", "rsa-1") is None
    only = keys({**RSA, "alg": "RS256"})
    assert only.find("RS256", "rsa-1") is not None and only.find("PS256", "rsa-1") is None


def test_a_key_id_means_one_key() -> None:
    """Exactly one that fits, or none; without an id only if there is no choice."""
    both = keys(RSA, EC)
    assert both.find("RS256", None) is not None and both.find("ES256", None) is not None
    assert both.find("RS256", "ec-1") is None and both.find("RS256", "RSA-1") is None
    assert keys(RSA, OTHER_RSA_KEY.as_dict(private=False)).find("RS256", None) is None
    twice = keys(RSA, {**OTHER_RSA_KEY.as_dict(private=False), "kid": "rsa-1"})
    assert twice.find("RS256", "rsa-1") is None
    for path in ("../../dev/null", "rsa-1\x00", "' OR 1=1 --", "file:///etc/passwd"):
        assert both.find("RS256", path) is None


SMALL = {"kty": "RSA", "e": "AQAB", "kid": "x", "n": RSA["n"][:256]}  # 1536 bits


@pytest.mark.parametrize(
    "entry",
    [
        OctKey.generate_key(256).as_dict(), {**RSA, "use": "enc"}, {**RSA, "key_ops": ["encrypt"]},
        {**RSA, "key_ops": "verify"}, {**RSA, "kid": 7}, {**RSA, "alg": ["RS256"]},
        {**RSA, "n": "AAAA"}, {**RSA, "n": "!"}, {**RSA, "n": None}, {**RSA, "kty": "rsa"},
        {**RSA, "kty": ["RSA"]}, {**RSA, "n": "A" * 4000}, SMALL, {**EC, "crv": "secp256k1"},
        {**EC, "x": EC["y"]}, {**EC, "crv": "nonsense"}, {"kty": "OKP"}, {}, "RSA", None, 7,
    ],
)  # fmt: skip
def test_entries_that_are_left_out(entry: Any) -> None:
    """Shared secrets, keys for encryption, small keys, points off the curve and garbage; the good
    key beside them is still used."""
    with pytest.raises(ValueError, match="no usable"):
        keys(entry).find("RS256", None)
    assert keys(entry, EC).find("ES256", "ec-1") is not None


def test_a_published_private_key_is_read_as_its_public_one() -> None:
    """An issuer's mistake does not bring its secret into this process."""
    found = keys(RSA_KEY.as_dict(private=True)).find("RS256", "rsa-1")
    assert found is not None
    assert found.signed(sign({}, RSA_KEY).encode(), "RS256")
    assert not found._key.is_private


@pytest.mark.parametrize("document", [{}, {"keys": {}}, {"keys": []}, {"keys": None}])
def test_a_document_without_keys_is_an_error(document: dict[str, Any]) -> None:
    """The last good keys stay, instead."""
    with pytest.raises(ValueError, match="key"):
        KeySet(document)


def test_a_long_document_is_read_to_its_bound() -> None:
    """A hundred keys."""
    assert keys(*[{"kty": "oct"}] * 99, EC).find("ES256", None) is not None
    with pytest.raises(ValueError, match="no usable"):
        keys(*[{"kty": "oct"}] * 100, EC)
