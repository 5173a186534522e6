"""Two tenants with their people, for tests of who may do what: `ten_a` has an administrator (ann),
two users (bob, cat) and a viewer (vic), `ten_b` its own administrator (eve).
"""

from dataclasses import replace

from tests.fakes.acting import PLATFORM_ADMIN, acting, actor, facts, refused
from tollway.app.ports_directory import Page
from tollway.app.views import AccountView, MemberView, TenantView
from tollway.domain.account import Role
from tollway.domain.policy import Actor

ROOT = PLATFORM_ADMIN
ANN = actor("ann", ten_a="tenant_admin")
BOB = actor("bob", ten_a="user")
CAT = actor("cat", ten_a="user")
VIC = actor("vic", ten_a="viewer")
EVE = actor("eve", ten_b="tenant_admin")
READER = replace(ROOT, read_only=True)
ROBOT = Actor("tok_robot", "ci", "token", roles={"ten_a": Role.TENANT_ADMIN})
BOOTSTRAP = Actor("bootstrap", "bootstrap token", "bootstrap", platform_admin=True)

EVERYBODY = {
    "root": ROOT,
    "ann": ANN,
    "bob": BOB,
    "vic": VIC,
    "eve": EVE,
    "reader": READER,
    "robot": ROBOT,
}
_FORBIDDEN = dict.fromkeys(("bob", "vic", "reader"), "forbidden")
BUT_ADMINS = {**_FORBIDDEN, "eve": "not_found"}  # of the tenant
BUT_PLATFORM = {**BUT_ADMINS, "ann": "forbidden", "robot": "forbidden"}


def settle(uow):
    """The tenants and their people."""
    uow.accounts.add(AccountView("acc_root", "root@example.org", "Root", platform_admin=True))
    for tenant_id, slug in (("ten_a", "acme"), ("ten_b", "beta")):
        uow.tenants.add(TenantView(tenant_id, slug, slug.title()), slug.encode())
    for who in (ANN, BOB, CAT, VIC, EVE):
        email = f"{who.name}@example.org"
        uow.accounts.add(AccountView(who.id, email, who.name.title()))
        for tenant_id, role in who.roles.items():
            uow.members.add(MemberView(tenant_id, who.id, email, who.name, role))


def state(uow):
    """All that tenants, people, projects, keys and tokens are, and how much is on record."""
    page = Page(limit=1000)
    tenants = uow.tenants.page(page, deleted=True)
    return (
        tenants,
        uow.accounts.page(page),
        uow.tokens.page(page),
        [
            (owned.page(tenant.id, page))
            for tenant in tenants
            for owned in (uow.members, uow.projects, uow.keys)
        ],
        len(facts(uow)),
    )


def turned_away(work, command, **kinds):
    """Each of these people is refused in this way, and nothing has changed by their asking."""
    before = state(work.uow)
    told = {name: refused(command(acting(work, EVERYBODY[name])))[0] for name in kinds}
    assert told == kinds, f"{told} instead of {kinds}"
    assert state(work.uow) == before


def stale(work, version):
    """The same work by someone who saw an older state than this."""
    return replace(work, request=replace(work.request, if_match=version - 1))
