"""What a webhook's URL must look like. The origin keeps the rules of providers' base URLs
(`origin.py`); the rest is a secret more often than not, so it is in no message.
"""

import re
from dataclasses import dataclass, field

from tollway.domain.origin import Origin, parse_base_url
from tollway.domain.result import Err, Ok, Result

MAX_URL_CHARS = 2048
# RFC 3986: what a path and a query may have, and percent escapes. No user, no fragment.
_SIGN = r"[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2}"
_URL = re.compile(
    rf"(?P<origin>https?://[A-Za-z0-9._:\[\]-]+)"
    rf"(?P<path>(?:/(?:{_SIGN})*)*)(?P<query>(?:\?(?:{_SIGN}|[/?])*)?)"
)
_NOT_A_URL = "Write a webhook's URL as https://host/path, without user, fragment or spaces."
_NOT_ALLOWED = "A tenant's webhook may not be at this address."


@dataclass(frozen=True, slots=True)
class WebhookUrl:
    """Where to post: the origin, and what is asked for there. `target` has path and query and is
    not shown."""

    origin: Origin
    target: str = field(repr=False)

    @property
    def place(self) -> str:
        """The part that may be shown: scheme and host."""
        return f"{'https' if self.origin.tls else 'http'}://{self.origin.authority}"


def parse_webhook_url(url: str, *, tenant_owned: bool) -> Result[WebhookUrl, str]:
    """The URL taken apart; `Err` says what is not accepted. A tenant's own must be https, and an
    address in it must not be a forbidden one."""
    match = _URL.fullmatch(url) if len(url) <= MAX_URL_CHARS else None
    if match is None or {"..", "."} & set(match["path"].split("/")):
        return Err(_NOT_A_URL)
    origin = parse_base_url(match["origin"], tenant_owned=False)
    if isinstance(origin, Err):
        return Err(_NOT_A_URL)
    if tenant_owned and not origin.value.tls:
        return Err("The URL of a tenant's webhook begins with https://.")
    if isinstance(parse_base_url(match["origin"], tenant_owned=tenant_owned), Err):
        return Err(_NOT_ALLOWED)
    return Ok(WebhookUrl(origin.value, (match["path"] or "/") + match["query"]))
