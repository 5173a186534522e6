"""Signing in and out. A guess is counted before it is looked at, so that many at once get no more
tries than one after the other; whether an account exists shows in no answer and in no time.

The slow hash is made between two units of work, never inside one: writers wait for each other.
"""

from dataclasses import dataclass, replace

from tollway.app.admin.commands.accounts import AccountSpec, add_account, store_password
from tollway.app.admin.commands.members import join, leave
from tollway.app.admin.outcome import Kind, Rejected
from tollway.app.admin.work import Work
from tollway.app.ports_directory import Page
from tollway.app.views import AccountView, SessionView
from tollway.domain.account import Role
from tollway.domain.ids import TenantId
from tollway.domain.oidc import Identity, OidcIssuer, memberships_for
from tollway.domain.policy import Action, Actor
from tollway.domain.result import Err, Ok, Result
from tollway.domain.session import (
    DEFAULT_RULES,
    SESSION_ENTROPY_BYTES,
    digest_cookie,
    make_cookie,
)
from tollway.domain.throttle import (
    ACCOUNT_RULES,
    ADDRESS_RULES,
    account_subject,
    address_subject,
    retry_after_s,
)

ANONYMOUS = Actor("anonymous", "anonymous", "sign-in")
_WRONG = Rejected("", "The address or the password is wrong.", Kind.UNAUTHENTICATED)


@dataclass(frozen=True, slots=True)
class Throttled:
    """Too many failures: wait so long."""

    retry_after_s: float


@dataclass(frozen=True, slots=True)
class Guess:
    """A counted attempt. `stored` is the hash to compare with; None when there is none, which must
    take as long to find out."""

    email: str
    address: str
    account: AccountView | None
    stored: str | None


@dataclass(frozen=True, slots=True)
class Opened:
    """A new session and its cookie, which exists nowhere else."""

    cookie: str
    session: SessionView
    account: AccountView


def begin_guess(work: Work, email: str, address: str) -> Result[Guess, Throttled]:
    """Count an attempt, or say how long to wait."""
    now_s, sessions = work.uow.now_s, work.uow.sessions
    waits = []
    for subject, rules in (
        (account_subject(email), ACCOUNT_RULES),
        (address_subject(address), ADDRESS_RULES),
    ):
        failures, last_s = sessions.failures(subject)
        wait_s = retry_after_s(failures, last_s, now_s, rules=rules)
        if wait_s is not None:
            waits.append(wait_s)
    if waits:
        return Err(Throttled(max(waits)))
    sessions.fail(account_subject(email), now_s)
    sessions.fail(address_subject(address), now_s)
    account = work.uow.accounts.find(email.strip().lower())
    stored = None if account is None else work.uow.accounts.password(account.id)
    return Ok(Guess(email, address, account, stored))


def finish_guess(
    work: Work, guess: Guess, *, right: bool, rehashed: str | None = None, old: str | None = None
) -> Result[Opened, Rejected]:
    """A session, if the guess was right. `rehashed` is the same password under today's parameters;
    `old` the cookie the browser had: its session ends."""
    account = None if guess.account is None else work.uow.accounts.get(guess.account.id)
    if not right or account is None or not account.active:
        failures, _ = work.uow.sessions.failures(account_subject(guess.email))
        if account is not None and failures == ACCOUNT_RULES.free:
            work.record("account.sign_in_throttled", kind="account", object_id=account.id)
        return Err(_WRONG)
    work.uow.sessions.forgive(account_subject(guess.email))
    # Not all of the address's: one right sign-in must not pay for a thousand guesses beside it.
    work.uow.sessions.uncount(address_subject(guess.address))
    if rehashed is not None:
        work.uow.accounts.set_password(account.id, rehashed)
    return Ok(open_session(work, account, via="password", old=old))


def open_session(
    work: Work, account: AccountView, *, via: str, old: str | None, id_token: str | None = None
) -> Opened:
    """A new session; the browser's old one ends, so that no cookie lives through a sign-in."""
    _end(work, old)
    cookie = make_cookie(work.entropy(SESSION_ENTROPY_BYTES))
    digest = digest_cookie(cookie)
    assert digest is not None, "a cookie we made must parse"
    now_s = work.uow.now_s
    session = SessionView(
        digest, account.id, now_s, now_s, now_s + DEFAULT_RULES.lifetime_s, via, id_token
    )
    work.uow.sessions.add(session)
    acting = replace(work, actor=Actor(account.id, account.email, via, account.id))
    acting.record("account.signed_in", kind="account", object_id=account.id, changes={"via": via})
    return Opened(cookie, session, account)


def sign_out(work: Work, cookie: str | None, *, everywhere: bool) -> Result[int, Rejected]:
    """This browser is signed out; with `everywhere` all of the account's. How many were."""
    account_id = work.actor.account_id
    wrong = work.denied(Action.ME_UPDATE, kind="session", owner=account_id)
    if wrong is not None or account_id is None:
        return Err(wrong or Rejected("", "Only people sign out.", Kind.FORBIDDEN))
    if everywhere:
        ended = work.uow.sessions.remove_of(account_id)
    else:
        ended = _end(work, cookie)
    work.record(
        "account.signed_out", kind="account", object_id=account_id, changes={"sessions": ended}
    )
    return Ok(ended)


def change_password(
    work: Work, hashed: str, *, right: bool, cookie: str | None
) -> Result[None, Rejected]:
    """The actor's own new password, when the current one was given right; all their other sessions
    end."""
    account_id = work.actor.account_id
    wrong = work.denied(Action.ME_UPDATE, kind="account", owner=account_id)
    if wrong is not None or account_id is None:
        return Err(wrong or Rejected("", "Only people have a password.", Kind.FORBIDDEN))
    if not right:
        return Err(Rejected("current", "The current password is wrong.", Kind.FORBIDDEN))
    store_password(work, account_id, hashed, but=None if cookie is None else digest_cookie(cookie))
    return Ok(None)


def sign_in_identified(
    work: Work, identity: Identity, issuer: OidcIssuer, *, old: str | None
) -> Result[Opened, Rejected]:
    """A session for somebody an identity provider knows; their account is made at the first
    sign-in, their groups' memberships are brought up to date at each."""
    actor = Actor(f"oidc:{issuer.name}", issuer.name, "oidc", platform_admin=True)
    acting = replace(work, actor=actor)
    found = _account_of(acting, identity, issuer)
    if isinstance(found, Err):
        return found
    account = found.value
    if not account.active:
        return Err(Rejected("", "The account is disabled.", Kind.FORBIDDEN))
    _follow_groups(acting, account, identity, issuer)
    current = work.uow.accounts.get(account.id)
    assert current is not None, "an account is never removed"
    return Ok(
        open_session(work, current, via=issuer.name, old=old, id_token=identity.id_token or None)
    )


def _account_of(
    work: Work, identity: Identity, issuer: OidcIssuer
) -> Result[AccountView, Rejected]:
    accounts = work.uow.accounts
    linked = accounts.find_linked(identity.issuer, identity.subject)
    if linked is not None:
        return Ok(linked)
    if identity.email is None:
        return Err(Rejected("", "The provider gave no e-mail address.", Kind.FORBIDDEN))
    account = accounts.find(identity.email)
    if account is None:
        if not (issuer.trust_email or identity.email_verified):
            # Somebody could take an address before its owner comes, and what is given to it later.
            return Err(
                Rejected(
                    "",
                    "The provider has not verified your e-mail address. Verify it there, or ask an "
                    "administrator.",
                    Kind.FORBIDDEN,
                )
            )
        made = add_account(work, AccountSpec(identity.email, identity.name or None))
        if isinstance(made, Err):
            return made
        account = made.value
    elif not (issuer.trust_email and identity.email_verified):
        # Whoever runs the provider could otherwise open any account by naming its address.
        return Err(
            Rejected(
                "",
                "There is an account with this address already, and the provider is not trusted "
                "to open it (trust_email). Ask an administrator.",
                Kind.FORBIDDEN,
            )
        )
    accounts.link(account.id, identity.issuer, identity.subject)
    changes = {"issuer": identity.issuer, "subject": identity.subject}
    work.record("account.linked", kind="account", object_id=account.id, changes=changes)
    return Ok(account)


def _follow_groups(
    work: Work, account: AccountView, identity: Identity, issuer: OidcIssuer
) -> None:
    standings = memberships_for(identity.groups, issuer.mapping)
    if issuer.mapping.admin_groups and account.platform_admin != standings.platform_admin:
        work.uow.accounts.save(replace(account, platform_admin=standings.platform_admin))
        changes = {"platform_admin": [account.platform_admin, standings.platform_admin]}
        work.record("account.updated", kind="account", object_id=account.id, changes=changes)
    wanted: dict[TenantId, Role] = {}
    for slug, role in standings.roles.items():
        tenant = work.uow.tenants.find(slug)
        if tenant is not None and tenant.deleted_s is None:
            wanted[tenant.id] = role
    held = {member.tenant_id: member for member in work.uow.members.of_account(account.id)}
    for member in held.values():
        if member.source != issuer.issuer:
            if member.tenant_id in wanted:  # made by hand: it stays as it is
                del wanted[member.tenant_id]
            continue
        given = wanted.get(member.tenant_id)
        if given is None:
            leave(work, member)
            continue
        del wanted[member.tenant_id]
        if given is not member.role:
            work.uow.members.save(replace(member, role=given))
            work.record(
                "member.updated",
                kind="member",
                object_id=account.id,
                tenant_id=member.tenant_id,
                changes={"role": [member.role, given]},
            )
    for tenant in work.uow.tenants.page(Page(max(len(wanted), 1)), within=list(wanted)):
        join(work, tenant.id, account, role=wanted[tenant.id], source=issuer.issuer)


def _end(work: Work, cookie: str | None) -> int:
    digest = None if cookie is None else digest_cookie(cookie)
    if digest is None or work.uow.sessions.get(digest) is None:
        return 0
    work.uow.sessions.remove(digest)
    return 1
