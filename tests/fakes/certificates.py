"""Certificates for tests over TLS: an authority, and server certificates that are right, expired,
for another name, or from an authority nobody trusts. Made on the spot; nothing is stored in git.
"""

import datetime as dt
import ipaddress
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

KINDS = ("good", "expired", "wrong_name", "unknown_ca")


class Authority:
    """A certificate authority that lives as long as the test."""

    def __init__(self, name: str = "Test authority") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named(name)
        now = dt.datetime.now(dt.UTC)
        self.certificate = (
            _builder(self._name, self._name, self._key, now - DAY, now + DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(ca=True), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False
            )
            .sign(self._key, hashes.SHA256())
        )

    def issue(self, names: list[str], *, days: int = 1) -> bytes:
        """Certificate and key of a server as PEM; a negative count of days has expired."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = dt.datetime.now(dt.UTC)
        begin = now - DAY * (1 + abs(days)) if days < 0 else now - DAY
        certificate = (
            _builder(_named(names[0]), self._name, key, begin, now + DAY * days)
            .add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(ca=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), False
            )
            .sign(self._key, hashes.SHA256())
        )
        return certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )

    def pem(self) -> bytes:
        """What a client trusts."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)


class Certificates:
    """A folder with `ca.pem` and one `KIND.pem` (certificate and key) for each of `KINDS`."""

    def __init__(self, folder: Path) -> None:
        authority = Authority()
        self._folder = folder
        self.ca_file = folder / "ca.pem"
        self.ca_file.write_bytes(authority.pem())
        names = ["localhost", "127.0.0.1", "::1"]
        made = {
            "good": authority.issue(names),
            "expired": authority.issue(names, days=-1),
            "wrong_name": authority.issue(["elsewhere.example"]),
            "unknown_ca": Authority("Nobody's authority").issue(names),
        }
        for kind, pem in made.items():
            self.file(kind).write_bytes(pem)

    def file(self, kind: str = "good") -> Path:
        """The PEM file with certificate and key of a server."""
        assert kind in KINDS
        return self._folder / f"{kind}.pem"

    def server_context(self, kind: str = "good") -> ssl.SSLContext:
        """For the listening side."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.file(kind))
        return context

    def client_context(self) -> ssl.SSLContext:
        """For a client that trusts our authority and nobody else."""
        return ssl.create_default_context(cafile=str(self.ca_file))


DAY = dt.timedelta(days=1)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    begin: dt.datetime,
    end: dt.datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
    )


def _key_usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )
