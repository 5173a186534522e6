"""`/apply` and `/manifest`: configuration as code from afar. The same code as `tollway apply` runs
beside the database.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Query
from pydantic import BaseModel, Field

from tollway.app.admin.applying.apply import apply_manifest
from tollway.app.admin.applying.export import export_manifest
from tollway.app.admin.applying.run import Applied, Verb
from tollway.app.admin.manifest import manifest_schema, read_manifest, write_manifest
from tollway.app.admin.outcome import Rejected
from tollway.app.admin.work import Work
from tollway.domain.policy import Action
from tollway.domain.result import Err, Result
from tollway.web.admin.callers import Caller, route

router = APIRouter(tags=["configuration as code"])
_EXAMPLE = {"tenants": [{"slug": "acme", "name": "Acme Corporation"}]}
_SCHEMA = {"title": "Manifest", **manifest_schema()}


class FieldChangeOut(BaseModel):
    """What a field was, and what it is now."""

    old: Any = None
    new: Any = None


class ChangeOut(BaseModel):
    """What is done to one object."""

    verb: Verb = Field(examples=["create"])
    kind: str = Field(examples=["tenant"])
    name: str = Field(examples=["acme"])
    fields: dict[str, FieldChangeOut]


class AppliedKeyOut(BaseModel):
    """A new key. Keep `key`: it is shown this once."""

    tenant: str = Field(examples=["acme"])
    name: str = Field(examples=["chatbot"])
    key: str = Field(examples=["tw_live_..."])


class AppliedOut(BaseModel):
    """What was changed, or would be (`dry_run`). `kept`: what pruning had to leave, and why."""

    dry_run: bool
    changes: list[ChangeOut]
    unchanged: int
    keys: list[AppliedKeyOut]
    kept: list[str]


class ManifestOut(BaseModel):
    """Everything, in the form that `apply` takes; and what no file can hold."""

    manifest: dict[str, Any] = Field(examples=[_EXAMPLE])
    missing: list[str]


def _applying() -> dict[str, Any]:
    """The body's form is not FastAPI's to find out: it is the file's."""
    known = route(Action.SYSTEM_WRITE, "applyManifest")
    content = {"application/json": {"schema": _SCHEMA, "example": _EXAMPLE}}
    known["openapi_extra"]["requestBody"] = {"required": True, "content": content}
    return known


@router.post("/apply", **_applying())
def apply(
    *,
    caller: Caller,
    body: Annotated[dict[str, Any], Body()],
    dry_run: Annotated[bool, Query(description="Change nothing; say what would be.")] = False,
    prune: Annotated[
        bool, Query(description="Take away what a file once made and this one does not name.")
    ] = False,
) -> AppliedOut:
    """Make what is there what the file says, all of it or nothing. Twice is as good as once."""

    def act(work: Work) -> Result[Applied, Rejected]:
        read = read_manifest(body)
        if isinstance(read, Err):
            return Err(Rejected("", read.error))
        return apply_manifest(work, read.value, prune=prune)

    return _out(caller.rehearse(act) if dry_run else caller.write(act), dry_run)


@router.get("/manifest", **route(Action.SYSTEM_READ, "readManifest"))
def read(caller: Caller) -> ManifestOut:
    """Everything there is, in the form that `apply` takes. Seeded prices are left out."""
    exported = caller.read(export_manifest)
    return ManifestOut(manifest=write_manifest(exported.manifest), missing=list(exported.missing))


def _out(applied: Applied, dry_run: bool) -> AppliedOut:
    return AppliedOut(
        dry_run=dry_run,
        changes=[
            ChangeOut(
                verb=change.verb,
                kind=change.kind,
                name=change.name,
                fields={
                    name: FieldChangeOut(old=old, new=new)
                    for name, (old, new) in change.fields.items()
                },
            )
            for change in applied.changes
        ],
        unchanged=applied.unchanged,
        keys=[]
        if dry_run
        else [
            AppliedKeyOut(tenant=key.tenant, name=key.name, key=key.text) for key in applied.keys
        ],
        kept=list(applied.kept),
    )
