"""The grammar of everything a person names or points at. Each check answers None, or what is wrong.
Whether a thing exists or belongs together is the commands' business.
"""

import math
import re
from collections.abc import Iterable, Mapping
from ipaddress import ip_network

from tollway.app.admin.outcome import Rejected
from tollway.domain.labels import MAX_TAG_BYTES, MAX_TAGS
from tollway.domain.origin import parse_base_url
from tollway.domain.result import Err

MAX_NAME_CHARS = 200
MAX_EMAIL_CHARS = 254  # RFC 5321, 4.5.3.1
_MOST_CAPACITY = 2_000_000_000
_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s.]+(?:\.[^@\s.]+)*")
_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,199}")
_ENDPOINT = re.compile(r"[a-z][a-z0-9_.]{0,63}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def check_slug(slug: str) -> Rejected | None:
    """A tenant's slug: a DNS label."""
    if _SLUG.fullmatch(slug):
        return None
    return Rejected(
        "slug",
        f"{slug!r} is no slug: write 1 to 63 small letters, digits and hyphens, "
        "with no hyphen at either end.",
    )


def check_name(name: str, field: str = "name") -> Rejected | None:
    """Any printable text with something in it."""
    if name != name.strip() or not name:
        return Rejected(field, f"The {field} must not be empty, nor begin or end with a space.")
    if len(name) > MAX_NAME_CHARS:
        return Rejected(field, f"The {field} has {len(name)} characters; at most {MAX_NAME_CHARS}.")
    if not name.isprintable():
        return Rejected(field, f"The {field} contains control characters.")
    return None


def check_email(email: str) -> Rejected | None:
    """One address, in lower case."""
    if len(email) <= MAX_EMAIL_CHARS and email.isprintable() and _EMAIL.fullmatch(email):
        return None
    return Rejected("email", f"{email!r} is no e-mail address.")


def check_model_name(name: str, field: str = "name") -> Rejected | None:
    """What clients send as `model`."""
    if _MODEL.fullmatch(name):
        return None
    return Rejected(
        field,
        f"{name!r} is no model name: begin with a letter or digit, then up to 199 of "
        "letters, digits and . _ : / @ + -",
    )


def check_model_names(names: Iterable[str] | None) -> Rejected | None:
    """A scope's list of models; None is no list."""
    for name in names or ():
        if not _MODEL.fullmatch(name):
            return Rejected("models", f"{name!r} is no model name.")
    return None


def check_reference(reference: str) -> Rejected | None:
    """Where a secret is found. Never the secret itself."""
    scheme, _, place = reference.partition(":")
    if scheme == "env" and _VARIABLE.fullmatch(place):
        return None
    if scheme == "file" and place.startswith("/") and place.isprintable():
        return None
    # What was given is not repeated: it may be the secret.
    return Rejected(
        "reference", "Write env:NAME (a variable) or file:/PATH (an absolute path), not the secret."
    )


def check_base_url(url: str, *, tenant_owned: bool = False) -> Rejected | None:
    """Where a provider's API begins: the same rule by which it will be connected to. A tenant's own
    is public and https."""
    parsed = parse_base_url(url, tenant_owned=tenant_owned)
    return Rejected("base_url", parsed.error) if isinstance(parsed, Err) else None


def check_timeouts(timeouts: Mapping[str, float | None]) -> Rejected | None:
    """Seconds above 0; None takes the server's."""
    for field, value in timeouts.items():
        if value is not None and not 0 < value < math.inf:
            return Rejected(field, f"{field} must be a number of seconds above 0, not {value}.")
    return None


def check_capacity(capacity: Mapping[str, int | None]) -> Rejected | None:
    """What an account takes: whole numbers from 1; None is learned."""
    for field, value in capacity.items():
        if value is not None and not 1 <= value <= _MOST_CAPACITY:
            return Rejected(
                field, f"{field} is 1 to {_MOST_CAPACITY}, or null: then it is learned."
            )
    return None


def check_endpoints(endpoints: Iterable[str] | None) -> Rejected | None:
    """Names of endpoints a key may call."""
    for endpoint in endpoints or ():
        if not _ENDPOINT.fullmatch(endpoint):
            return Rejected("endpoints", f"{endpoint!r} is no name of an endpoint.")
    return None


def check_ip_ranges(ranges: Iterable[str] | None) -> Rejected | None:
    """Addresses or CIDR ranges."""
    for written in ranges or ():
        try:
            ip_network(written, strict=False)
        except ValueError:
            return Rejected("ip_allow", f"{written!r} is no IP address or range like 10.0.0.0/8.")
    return None


def check_tags(tags: Iterable[tuple[str, str]]) -> Rejected | None:
    """Tags as on a request: few, short, printable, each name once."""
    pairs = list(tags)
    if len(pairs) > MAX_TAGS:
        return Rejected("tags", f"{len(pairs)} tags; at most {MAX_TAGS}.")
    if len({name for name, _ in pairs}) < len(pairs):
        return Rejected("tags", "A tag is given twice.")
    for part in (part for pair in pairs for part in pair):
        if not part or not part.isprintable() or len(part.encode()) > MAX_TAG_BYTES:
            return Rejected("tags", f"{part!r} is no tag: 1 to {MAX_TAG_BYTES} printable bytes.")
    return None
