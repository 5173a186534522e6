"""What the admin API's endpoints are given by the composition root."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tollway.app.ports import SecretBox
from tollway.app.ports_admin import (
    Configuration,
    Entropy,
    Explainer,
    QuotaSums,
    StandReader,
    UsageReader,
)
from tollway.app.ports_alerts import NoticeSender
from tollway.app.ports_identity import IdentityProvider, PasswordHasher
from tollway.app.ports_probe import ProviderProbe
from tollway.app.turns import Turns
from tollway.domain.oidc import OidcIssuer


@dataclass(frozen=True, slots=True)
class SignInAt:
    """One identity provider people may sign in at."""

    issuer: OidcIssuer
    provider: IdentityProvider


@dataclass(frozen=True, slots=True)
class Services:
    """Bound once per process. `publish` makes this machine's workers serve a version and returns
    when they do (or its deadline passed: they poll behind it). `admin_url` is where browsers reach
    us; without it, what they say in `Host`."""

    configuration: Configuration
    usage: UsageReader
    stands: StandReader
    explainer: Explainer
    sums: QuotaSums
    box: SecretBox
    entropy: Entropy
    admin_token: str
    publish: Callable[[int], None]
    probe: ProviderProbe
    hasher: PasswordHasher
    notices: NoticeSender
    mail_configured: bool = False  # whether notices can be mailed
    trials: Turns = field(default_factory=Turns)  # of webhooks, each on a thread of this process
    sign_in_at: Mapping[str, SignInAt] = field(default_factory=dict)
    admin_url: str | None = None
