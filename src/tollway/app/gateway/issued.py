"""JWTs of believed issuers in the place of keys. A token's signature is checked once; which tenant
it names is looked up anew with every configuration, so one that is deactivated is refused at once.

Entries are found by the SHA-256 of the whole token, so two different ones never share an entry.
"""

import asyncio
from base64 import b32encode
from hashlib import sha256

from tollway.app.ports_identity import JwtVerifier, NeedsKeys
from tollway.domain.access import Principal
from tollway.domain.gateway_jwt import Claims
from tollway.domain.ids import KeyId, ProjectId
from tollway.domain.key import KeyRecord
from tollway.domain.refusal import Forbidden, Unavailable
from tollway.domain.snapshot import EMPTY, Snapshot, find_project, find_tenant

FIRST_BYTES = b"eyJ"  # `{"`, as every JWT begins; no key does
KEYS_AWAITED = Unavailable(
    "The keys of the token's issuer cannot be had at the moment. Try again shortly.",
    "issuer_unavailable",
    2.0,
)
_MAX_ENTRIES = 20_000
_WAIT_S = 2.0

_Opened = Principal | Forbidden | None


class IssuedRing:
    """One per worker; `verifier` is None where no issuer is believed."""

    __slots__ = ("_known", "_snapshot", "_turn", "_verifier")

    def __init__(self, verifier: JwtVerifier | None = None) -> None:
        self._verifier = verifier
        self._known: dict[bytes, tuple[Claims, int, _Opened]] = {}
        self._snapshot = EMPTY
        self._turn = 0  # counts configurations: an entry of an earlier one is looked up again

    def takes(self, credential: bytes) -> bool:
        """Whether this is to be judged here."""
        return self._verifier is not None and credential.startswith(FIRST_BYTES)

    def open(
        self, credential: bytes, snapshot: Snapshot, now_s: float
    ) -> Principal | Forbidden | Unavailable | None:
        """Whose token this is; None when it opens nothing, whatever the reason. `KEYS_AWAITED`:
        not known yet, see `wait`."""
        if snapshot is not self._snapshot:
            self._snapshot = snapshot
            self._turn += 1
        digest = sha256(credential).digest()
        entry = self._known.get(digest)
        if entry is not None and entry[0].until_s > now_s:
            if entry[1] == self._turn:
                return entry[2]
            claims = entry[0]
        else:
            assert self._verifier is not None
            verified = self._verifier.verify(credential, now_s)
            if isinstance(verified, NeedsKeys):
                return KEYS_AWAITED
            if verified is None:
                self._known.pop(digest, None)
                return None
            claims = verified
        opened = _caller(claims, snapshot)
        if len(self._known) >= _MAX_ENTRIES:
            self._known.clear()
        self._known[digest] = (claims, self._turn, opened)
        return opened

    async def wait(self, credential: bytes, now_s: float) -> None:
        """After `KEYS_AWAITED`: until the issuer's keys came or cannot come, 2 s at most."""
        assert self._verifier is not None
        verified = self._verifier.verify(credential, now_s)
        if isinstance(verified, NeedsKeys):
            await asyncio.wait([asyncio.wrap_future(verified.ready)], timeout=_WAIT_S)


def _caller(claims: Claims, snapshot: Snapshot) -> _Opened:
    tenant = find_tenant(snapshot, claims.tenant)
    if tenant is None:
        return None
    project = None
    if claims.project is not None:
        project = find_project(snapshot, tenant.id, claims.project)
        if project is None:
            return Forbidden(
                f"The token names the project {claims.project!r}, which this tenant does not have.",
                "project_not_found",
            )
    key = KeyRecord(
        caller_id(claims),
        tenant.id,
        b"",
        0,
        claims.subject,
        None if project is None else ProjectId(project.id),
    )
    return Principal(tenant, key, project, None, claims.subject)


def caller_id(claims: Claims) -> KeyId:
    """What stands for the key of an issuer's subject: in the ledger, and where answers are kept
    apart by key. The same for all tokens of one subject in one tenant."""
    said = f"{claims.issuer}|{claims.tenant}|{claims.subject}".encode()
    return KeyId("jwt_" + b32encode(sha256(said).digest()[:15]).decode().lower())
