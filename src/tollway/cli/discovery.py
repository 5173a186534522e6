"""What models a provider has, by its `/models`. Standard library only; no redirects, no proxies
from the environment, bounded time and size.
"""

import json
import urllib.error
import urllib.request
from typing import Any

_TIMEOUT_S = 10.0
_MAX_BYTES = 4 * 1024 * 1024
_MAX_MODELS = 500


class DiscoveryError(Exception):
    """The models could not be listed; the message says why and never holds the key."""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the key elsewhere."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Never."""


def list_models(base_url: str, secret: str) -> list[str]:
    """The model names at `{base_url}/models`. Raises `DiscoveryError`."""
    url = f"{base_url.rstrip('/')}/models"
    if not url.startswith(("https://", "http://")):
        raise DiscoveryError(f"{url} is no http(s) address.")
    headers = {"accept": "application/json", "user-agent": "tollway"}
    if secret:
        headers["authorization"] = f"Bearer {secret}"
    opener = urllib.request.build_opener(_NoRedirects, urllib.request.ProxyHandler({}))
    try:
        request = urllib.request.Request(url, headers=headers)  # noqa: S310 - checked above
        with opener.open(request, timeout=_TIMEOUT_S) as answer:
            content = json.loads(answer.read(_MAX_BYTES))
    except urllib.error.HTTPError as error:
        hint = " Is the key right?" if error.code in (401, 403) else ""
        raise DiscoveryError(f"{url} answered with status {error.code}.{hint}") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise DiscoveryError(f"{url} cannot be read: {reason}") from error
    found = content.get("data") if isinstance(content, dict) else None
    names = [
        entry["id"]
        for entry in found or ()
        if isinstance(entry, dict) and isinstance(entry.get("id"), str)
    ]
    if not names:
        raise DiscoveryError(f"{url} lists no models.")
    return names[:_MAX_MODELS]
