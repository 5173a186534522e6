"""What every issuer of signed tokens must keep: fetched over https, signing with a key pair."""

import re
from collections.abc import Iterator

from tollway.domain.jwt_claims import ASYMMETRIC

_URL = re.compile(r"(https?)://([^/?#@\s\\]+)((?:/[^?#\s\\]*)?)")
_LOOPBACK = re.compile(r"(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?", re.IGNORECASE)


def algorithm_problems(algorithms: tuple[str, ...], leeway_s: int) -> Iterator[str]:
    """What both kinds of issuers must keep: signatures with a public key only, little leeway."""
    wrong = [name for name in algorithms if name not in ASYMMETRIC]
    if wrong or not algorithms:
        yield f"algorithms must be of {', '.join(sorted(ASYMMETRIC))}; got {', '.join(wrong)}."
    if not 0 <= leeway_s <= 300:
        yield "leeway_s must be 0 to 300."


def url_problem(url: str, *, what: str) -> str | None:
    """Why a URL is not fit to fetch trust from: https, or http to this machine itself."""
    if not url.strip():
        return f"{what} is empty."
    match = _URL.fullmatch(url)
    if match is None:
        return f"{what} must be an https URL without query, fragment or credentials."
    if match[1] == "http" and not is_loopback(url):
        return f"{what} must be https; http is allowed to loopback addresses only."
    return None


def is_loopback(url: str) -> bool:
    """Whether the URL names this machine."""
    match = _URL.match(url)
    return match is not None and _LOOPBACK.fullmatch(match[2]) is not None
