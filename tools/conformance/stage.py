"""A gateway in front of a given upstream, started as users start it, and what its ledger says."""

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fakes.gateway import PROVIDER_KEY_ENV, GatewayTree


@dataclass(frozen=True, slots=True)
class Upstream:
    """A provider to stand in front of: its kind, where it is, and which models are asked of it.
    Clients ask for the names on the left; the provider is asked for those on the right."""

    base_url: str
    models: dict[str, str] = field(default_factory=dict)
    kind: str = "openai_compatible"
    settings: dict[str, Any] = field(default_factory=dict)


@contextlib.contextmanager
def gateway(
    upstreams: Sequence[Upstream], default_model: str | None = None
) -> Iterator[GatewayTree]:
    """It, ready, with one tenant and one key; ended afterwards."""
    with tempfile.TemporaryDirectory(prefix="conformance-") as folder:
        tree = GatewayTree(Path(folder), log_level="warning", drain_timeout_s=5)
        tree.apply(_manifest(upstreams, default_model))
        tree.start()
        try:
            yield tree
        finally:
            tree.close()


def _manifest(upstreams: Sequence[Upstream], default_model: str | None) -> dict[str, Any]:
    providers, models = [], []
    for number, upstream in enumerate(upstreams):
        name = f"upstream-{number}"
        reference = {"reference": f"env:{PROVIDER_KEY_ENV}"}
        providers.append(
            {
                "name": name,
                "kind": upstream.kind,
                "base_url": upstream.base_url,
                "credentials": [reference],
                **upstream.settings,
            }
        )
        models += [
            {"name": asked, "targets": [{"provider": name, "model": served}]}
            for asked, served in upstream.models.items()
        ]
    return {
        "tenants": [{"slug": "acme", "default_model": default_model}],
        "providers": providers,
        "models": models,
        "keys": [{"name": "conformance", "tenant": "acme", "env": "test"}],
    }
