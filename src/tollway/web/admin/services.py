"""What the admin API's endpoints are given by the composition root."""

from collections.abc import Callable
from dataclasses import dataclass

from tollway.app.ports import SecretBox
from tollway.app.ports_admin import Configuration, Entropy, UsageReader
from tollway.app.ports_probe import ProviderProbe


@dataclass(frozen=True, slots=True)
class Services:
    """Bound once per process. `publish` makes this machine's workers serve a version and returns
    when they do (or its deadline passed: they poll behind it)."""

    configuration: Configuration
    usage: UsageReader
    box: SecretBox
    entropy: Entropy
    admin_token: str
    publish: Callable[[int], None]
    probe: ProviderProbe
