"""`apply`: make what is there what a file says, all of it or nothing. Applying a file twice changes
nothing the second time.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

from tollway.app.admin.applying.estate import (
    apply_account,
    apply_key,
    apply_project,
    apply_tenant,
)
from tollway.app.admin.applying.limits import apply_quota
from tollway.app.admin.applying.pruning import Pruning
from tollway.app.admin.applying.routing import (
    apply_fallbacks,
    apply_grant,
    apply_model,
    apply_price,
    apply_provider,
)
from tollway.app.admin.applying.run import Applied, Run, StoppedError
from tollway.app.admin.manifest import Manifest, identity
from tollway.app.admin.outcome import Rejected
from tollway.app.admin.work import Work
from tollway.domain.policy import Action
from tollway.domain.result import Err, Ok, Result

E = TypeVar("E")


def apply_manifest(work: Work, manifest: Manifest, *, prune: bool) -> Result[Applied, Rejected]:
    """Create and change what the file names; with `prune`, take away what a file once made and
    this one does not name. The caller commits, or does not: then it was a plan. What the file
    changed is the file's from now on (`managed_by`). Raises SecretError."""
    wrong = work.denied(Action.SYSTEM_WRITE, kind="system")
    if wrong is not None:
        return Err(wrong)
    run = Run(work)
    try:
        _apply(run, manifest)
        if prune:
            run.at = "prune"
            Pruning(run, manifest).walk()
    except StoppedError as stopped:
        return Err(stopped.rejected)
    applied = run.applied()
    if applied.changes:
        _record(work, applied)
    return Ok(applied)


def _apply(run: Run, manifest: Manifest) -> None:
    """In this order, so that what is named is there."""
    _each(run, "tenants", manifest.tenants, apply_tenant)
    _each(run, "accounts", manifest.accounts, apply_account)
    _each(run, "projects", manifest.projects, apply_project)
    _each(run, "providers", manifest.providers, apply_provider)
    _each(run, "models", manifest.models, apply_model)
    _each(run, "grants", manifest.grants, apply_grant)
    _each(run, "models", manifest.models, apply_fallbacks)
    _each(run, "prices", manifest.prices, apply_price)
    _each(run, "keys", manifest.keys, apply_key)
    _each(run, "quotas", manifest.quotas, apply_quota)


def _each(run: Run, section: str, entries: Sequence[E], act: Callable[[Run, E], None]) -> None:
    for index, entry in enumerate(entries):
        run.at = f"{section}[{index}] ({identity(section, entry)})"
        act(run, entry)
    run.at = ""


def _record(work: Work, applied: Applied) -> None:
    counts: dict[str, int] = {}
    for change in applied.changes:
        counts[change.verb.value] = counts.get(change.verb.value, 0) + 1
    work.record("file.applied", kind="file", object_id="apply", changes=counts)
