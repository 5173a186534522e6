"""Changing the master key: every stored secret moves from the old key's envelope to the new one's.

Nothing else changes, no API key stops working, and all of it can run while traffic is served, as
long as every process opens with both keys. Each batch is one transaction, and what already opens
with the new key is left alone: after a crash it is run again.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from tollway.app.admin.commands.peppers import pepper_purpose
from tollway.app.admin.hook_sealing import ADDRESS, SECRET, hook_purpose
from tollway.app.admin.sealing import purpose_of
from tollway.app.ports import SecretBox, SecretError
from tollway.app.ports_admin import Configuration, UnitOfWork
from tollway.app.ports_alerts import Sealed
from tollway.app.views import ProviderView, WebhookView
from tollway.domain.ids import CredentialId, WebhookId

_BATCH = 100  # a writer holds up others for some milliseconds
_PROBE = "master key rotation"


@dataclass(slots=True)
class Rewrapped:
    """What a run did. The old key can go once a run has moved nothing; what opened with neither key
    was lost before, and has to be entered again."""

    moved: int = 0
    kept: int = 0
    unopened: list[CredentialId | WebhookId] = field(default_factory=list)


def rewrap(
    configuration: Configuration, *, old_box: SecretBox, new_box: SecretBox, batch: int = _BATCH
) -> Rewrapped:
    """Move all secrets into the new box, each box having its one key. Raises SecretError when a
    pepper opens with neither (a wrong old key: nothing was changed), ValueError when the new box
    opens what the old one seals."""
    _check_apart(old_box, new_box)
    done = Rewrapped()
    with configuration.begin() as uow:
        _rewrap_peppers(uow, old_box, new_box, done)
        uow.commit()
    after: str | None = ""
    while after is not None:
        with configuration.begin() as uow:
            found = uow.providers.sealed(after, batch)
            _rewrap_credentials(uow, found, old_box=old_box, new_box=new_box, done=done)
            uow.commit()
        after = found[-1][0] if found else None
    _rewrap_webhooks(configuration, old_box, new_box, done, batch=batch)
    return done


def _check_apart(old_box: SecretBox, new_box: SecretBox) -> None:
    # Everything would look moved already, and the old key would be thrown away.
    try:
        new_box.open(old_box.seal(b"", _PROBE), _PROBE)
    except SecretError:
        return
    raise ValueError("The new master key is the old one.")


def _rewrap_peppers(
    uow: UnitOfWork, old_box: SecretBox, new_box: SecretBox, done: Rewrapped
) -> None:
    for version, wrapped in uow.peppers.every():
        fresh = _moved(wrapped, pepper_purpose(version), old_box, new_box)
        if fresh is None:
            done.kept += 1
        else:
            uow.peppers.replace(version, fresh)
            done.moved += 1


def _rewrap_credentials(
    uow: UnitOfWork,
    found: Iterable[tuple[CredentialId, ProviderView, bytes]],
    *,
    old_box: SecretBox,
    new_box: SecretBox,
    done: Rewrapped,
) -> None:
    for credential_id, provider, envelope in found:
        try:
            fresh = _moved(envelope, purpose_of(provider), old_box, new_box)
        except SecretError:
            done.unopened.append(credential_id)
            continue
        if fresh is None:
            done.kept += 1
        elif uow.providers.rewrap(credential_id, fresh, instead_of=envelope):
            done.moved += 1


def _rewrap_webhooks(
    configuration: Configuration,
    old_box: SecretBox,
    new_box: SecretBox,
    done: Rewrapped,
    *,
    batch: int,
) -> None:
    """No process has read them before: each notice is sent with what is kept at the time."""
    after: str | None = ""
    while after is not None:
        with configuration.begin() as uow:
            found = uow.webhooks.every(after, batch)
            for webhook, kept in found:
                _rewrap_webhook(uow, webhook, kept, boxes=(old_box, new_box), done=done)
            uow.commit()
        after = found[-1][0].id if found else None


def _rewrap_webhook(
    uow: UnitOfWork,
    webhook: WebhookView,
    kept: Sealed,
    *,
    boxes: tuple[SecretBox, SecretBox],
    done: Rewrapped,
) -> None:
    uses = [(ADDRESS, kept.address), *((SECRET, secret) for secret in kept.secrets)]
    try:
        fresh = [
            None if envelope is None else _moved(envelope, hook_purpose(webhook, use), *boxes)
            for use, envelope in uses
        ]
    except SecretError:
        done.unopened.append(webhook.id)
        return
    moved = sum(envelope is not None for envelope in fresh)
    done.moved += moved
    done.kept += sum(envelope is not None for _, envelope in uses) - moved
    if moved:
        address, *secrets = (new or old for new, (_, old) in zip(fresh, uses, strict=True))
        closed = tuple(secret for secret in secrets if secret is not None)
        uow.webhooks.save(webhook, Sealed(address, closed))


def _moved(envelope: bytes, purpose: str, old_box: SecretBox, new_box: SecretBox) -> bytes | None:
    """The new envelope; None when the new box opens this one. Raises SecretError."""
    try:
        new_box.open(envelope, purpose)
        return None
    except SecretError:
        return new_box.seal(old_box.open(envelope, purpose), purpose)
