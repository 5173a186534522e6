"""A response that a provider keeps, and how its id reads outside: who keeps it under which name,
sealed, so that whoever it belongs to can bring it back and nobody else can use it. Sealing itself
is a port (`app/ports_kept.py`).
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import NamedTuple

from tollway.domain.access import Principal
from tollway.domain.ids import CredentialId, ProviderId

_PREFIX = "resp_"
MAX_ID_CHARS = 4096  # more than any that is made here
# What a provider may call a response: it becomes a segment of a path.
_UPSTREAM_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:=+~-]{0,1023}")
_BETWEEN = "\x00"
_FORM = "1"


class KeptResponse(NamedTuple):
    """One response at one account of one provider. `model` is the name that the client called it
    by, `target_model` the provider's own; `credential_id` None: it was called without any."""

    provider_id: ProviderId
    credential_id: CredentialId | None
    model: str
    target_model: str
    upstream_id: str


def owner_of(principal: Principal) -> bytes:
    """Whose a response is that this principal has made: its tenant's, within that its project's,
    and of a person (or a token's subject) theirs alone. Another key of the same owner may use it.
    """
    whose = (principal.tenant_id, principal.project_id, principal.account_id, principal.subject)
    return repr(whose).encode("utf-8", "replace")


def packed(kept: KeptResponse) -> bytes | None:
    """What is sealed; None for a response whose provider gave it a name that is none."""
    if _UPSTREAM_ID.fullmatch(kept.upstream_id) is None:
        return None
    parts = (_FORM, *(part or "" for part in kept))
    if any(_BETWEEN in part for part in parts):
        return None
    return _BETWEEN.join(parts).encode("utf-8", "replace")


def unpacked(data: bytes) -> KeptResponse | None:
    """What was packed; None for a later version's."""
    form, *parts = data.decode("utf-8", "replace").split(_BETWEEN)
    if form != _FORM or len(parts) != len(KeptResponse._fields):
        return None
    provider_id, credential_id, model, target_model, upstream_id = parts
    credential = CredentialId(credential_id) if credential_id else None
    return KeptResponse(ProviderId(provider_id), credential, model, target_model, upstream_id)


def id_text(sealed: bytes) -> str:
    """The id that a client gets."""
    return _PREFIX + urlsafe_b64encode(sealed).rstrip(b"=").decode("ascii")


def sealed_in(text: str) -> bytes | None:
    """What an id holds; None for one that was never made here. One sealed value has one id."""
    if len(text) > MAX_ID_CHARS or not text.startswith(_PREFIX) or not text.isascii():
        return None
    inner = text[len(_PREFIX) :]
    try:
        sealed = urlsafe_b64decode(inner + "=" * (-len(inner) % 4))
    except ValueError:
        return None
    return sealed if id_text(sealed) == text else None
