"""One of everything that configuration holds, written by the repositories, and the snapshot it is
served as.
"""

from tests.fakes.database import NOW_S
from tollway.app.views import (
    AccountView,
    CredentialView,
    GrantView,
    KeyView,
    MemberView,
    ModelView,
    ProjectView,
    ProviderView,
    SessionView,
    TenantSettings,
    TenantView,
    TokenView,
)
from tollway.domain.account import MemberScope, ProjectScope, Role
from tollway.domain.grant import GrantRecord
from tollway.domain.key import KeyRecord
from tollway.domain.model import ModelRecord, Strategy, Target
from tollway.domain.provider import CredentialRecord, ProviderKind, ProviderRecord, StreamUsage
from tollway.domain.snapshot import SnapshotRows
from tollway.domain.tenant import TenantRecord

TENANT = TenantView("ten_1", "acme", "Acme", TenantSettings(models="listed", group="gold"))
OTHER = TenantView("ten_2", "other", "Other", active=False)
ACCOUNT = AccountView("acc_1", "ann@example.org", "Ann", True, managed_by="file")
MEMBER = MemberView("ten_1", "acc_1", "ann@example.org", "Ann", Role.TENANT_ADMIN, ("small",))
PROJECT = ProjectView("prj_1", "ten_1", "search", ("small",))
KEY = KeyView(
    "key_1",
    "ten_1",
    "first",
    "live",
    "tw_live_1",
    "abcd",
    "prj_1",
    "acc_1",
    models=("small", "large"),
    endpoints=(),
    ip_allow=("10.0.0.0/8",),
    tags=(("team", "search"),),
    not_before_s=5,
    expires_s=9,
)
PLATFORM = ProviderView("prv_1", "openai", ProviderKind.OPENAI, "https://api.openai.com/v1")
OWN = ProviderView(
    "prv_2",
    "openai",
    ProviderKind.OPENAI_COMPATIBLE,
    "http://own/v1",
    "ten_1",
    stream_usage=StreamUsage.NATIVE,
    connect_timeout_s=1.5,
    headers_timeout_s=2,
    first_token_timeout_s=3,
    idle_timeout_s=4,
    total_timeout_s=5,
)
CREDENTIAL = CredentialView("crd_1", "prv_2", "env:KEY", weight=2)
SEALED = CredentialView("crd_2", "prv_2", sealed=True)
SHARED = ModelView("mdl_1", "large", (Target("prv_1", "a"),))
MODEL = ModelView(
    "mdl_2",
    "small",
    (Target("prv_2", "b", 3, 1), Target("prv_1", "a", 1, 0)),
    "ten_1",
    Strategy.WEIGHTED,
    max_output_tokens=100,
)
TOKEN = TokenView("tok_1", "ci", "twp_1", "wxyz", tenant_id="ten_1", role=Role.VIEWER)
SESSION = SessionView(b"digest", "acc_1", NOW_S, NOW_S, NOW_S + 60)
EVERYTHING = SnapshotRows(
    1,
    ((1, b"wrapped"),),
    (
        TenantRecord("ten_1", "acme", "Acme", b"salt", models="listed", group="gold"),
        TenantRecord("ten_2", "other", "Other", b"other", active=False),
    ),
    (
        KeyRecord(
            "key_1",
            "ten_1",
            b"digest",
            1,
            "first",
            "prj_1",
            "acc_1",
            5,
            9,
            models=("small", "large"),
            endpoints=(),
            ip_allow=("10.0.0.0/8",),
            tags=(("team", "search"),),
        ),
    ),
    (
        ProviderRecord("prv_1", "openai", ProviderKind.OPENAI, "https://api.openai.com/v1"),
        ProviderRecord(
            "prv_2",
            "openai",
            ProviderKind.OPENAI_COMPATIBLE,
            "http://own/v1",
            "ten_1",
            True,
            StreamUsage.NATIVE,
            (
                CredentialRecord("crd_1", "env:KEY", 2),
                CredentialRecord("crd_2", "", 1, b"envelope"),
            ),
            1.5,
            2,
            3,
            4,
            5,
        ),
    ),
    (
        ModelRecord("mdl_1", "large", SHARED.targets, created_s=NOW_S, version=1),
        ModelRecord(
            "mdl_2",
            "small",
            MODEL.targets,
            "ten_1",
            Strategy.WEIGHTED,
            True,
            100,
            NOW_S,
            1,
        ),
    ),
    (ProjectScope("prj_1", "ten_1", ("small",), "search"),),
    (MemberScope("ten_1", "acc_1", ("small",)),),
    (GrantRecord("group:gold", ("mdl_1",)), GrantRecord("ten_1", ("mdl_1",))),
)


def write_everything(uow):
    """In one unit, which the caller commits."""
    uow.peppers.add(1, b"wrapped")
    uow.tenants.add(TENANT, b"salt")
    uow.tenants.add(OTHER, b"other")
    uow.accounts.add(ACCOUNT)
    uow.members.add(MEMBER)
    uow.projects.add(PROJECT)
    uow.keys.add(KEY, b"digest", 1)
    uow.providers.add(PLATFORM)
    uow.providers.add(OWN)
    uow.providers.add_credential(CREDENTIAL, None)
    uow.providers.add_credential(SEALED, b"envelope")
    uow.models.add(SHARED)
    uow.models.add(MODEL)
    uow.grants.add(GrantView("mdl_1", "ten_1"))
    uow.grants.add(GrantView("mdl_1", group="gold"))
    uow.tokens.add(TOKEN, b"digest")
    uow.sessions.add(SESSION)
