"""AWS Signature Version 4: requests are signed with a key of one day, one region, one service.

Source: "Create a signed AWS API request" in Amazon's IAM user guide, and its test vectors. Every
service but S3 encodes the path once more than it is on the wire. Why no package does this: decision
18.
"""

import hmac
import re
import time
from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import NamedTuple
from urllib.parse import quote, unquote

from tollway.app.ports import Header
from tollway.domain.bedrock import AwsKeys

_ALGORITHM = "AWS4-HMAC-SHA256"
_SPACES = re.compile(r"\s+")


class Unsigned(NamedTuple):
    """A request. `target` is as on its first line; `headers` are those to sign, `host` among them:
    whatever stands between may change all others."""

    method: str
    target: str
    headers: tuple[Header, ...]
    body: bytes


class Signer:
    """One access key at one service of one region. The derived key is kept for its day."""

    __slots__ = ("_clock", "_day", "_key", "_keys", "_region", "_service")

    def __init__(
        self,
        keys: AwsKeys,
        region: str,
        service: str = "bedrock",
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`clock` gives seconds since 1970: a signature holds for minutes."""
        self._keys = keys
        self._region = region
        self._service = service
        self._clock = clock
        self._day = ""
        self._key = b""

    def lines(self, request: Unsigned) -> list[Header]:
        """The headers that the request needs besides its own."""
        at = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self._clock()))
        lines = [(b"x-amz-date", at.encode())]
        if self._keys.session_token:
            lines.append((b"x-amz-security-token", self._keys.session_token.encode()))
        names, fields = _fields((*request.headers, *lines))
        path, _, query = request.target.partition("?")
        digest = sha256(request.body).hexdigest()
        canonical = "\n".join((request.method, _path(path), _query(query), fields, names, digest))
        day = at[:8]
        scope = f"{day}/{self._region}/{self._service}/aws4_request"
        text = f"{_ALGORITHM}\n{at}\n{scope}\n{sha256(canonical.encode()).hexdigest()}"
        signature = _mac(self._derived(day), text).hex()
        credential = f"Credential={self._keys.id}/{scope}"
        said = f"{_ALGORITHM} {credential}, SignedHeaders={names}, Signature={signature}"
        return [*lines, (b"authorization", said.encode())]

    def _derived(self, day: str) -> bytes:
        if day != self._day:
            key = b"AWS4" + self._keys.secret.encode()
            for part in (day, self._region, self._service, "aws4_request"):
                key = _mac(key, part)
            self._day, self._key = day, key
        return self._key


def _mac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")


def _fields(headers: Iterable[Header]) -> tuple[str, str]:
    """Names, and lines of names and values: each name once, values in the order given."""
    values: dict[str, list[str]] = {}
    for name, value in headers:
        text = _SPACES.sub(" ", value.decode("latin-1").strip())
        values.setdefault(name.decode("ascii").lower(), []).append(text)
    lines = [f"{name}:{','.join(values[name])}\n" for name in sorted(values)]
    return ";".join(sorted(values)), "".join(lines)


def _path(path: str) -> str:
    """Without empty and dotted segments, and encoded again."""
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment not in ("", "."):
            kept.append(segment)
    slash = "/" if kept and path.endswith("/") else ""
    return "/" + quote("/".join(kept), safe="/-_.~") + slash


def _query(query: str) -> str:
    pairs = []
    for one in query.split("&") if query else ():
        name, _, value = one.partition("=")
        pairs.append(tuple(quote(unquote(part), safe="-_.~") for part in (name, value)))
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))
