"""Which mail server notices go through: `smtp://user:password@host:587` or `smtps://...:465`.

There is no way to send a password, or a notice, in the clear to another machine.
"""

from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import unquote, urlsplit

from tollway.domain.origin import parse_base_url
from tollway.domain.result import Err, Ok, Result

_NOT_A_URL = "Write the mail server as smtp://user:password@host:587 or smtps://user:password@host."


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """A mail server and who we are to it; no user, no sign-in."""

    host: str
    port: int
    tls_first: bool  # smtps: the handshake comes before all else
    user: str = ""
    password: str = field(default="", repr=False)

    @property
    def starttls(self) -> bool:
        """Whether encryption must be asked for. On this machine it is left out: a local relay's
        certificate is seldom for `localhost`, and nothing leaves the machine."""
        return not self.tls_first and not _is_loopback(self.host)

    @property
    def place(self) -> str:
        """What may be shown of it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'smtps' if self.tls_first else 'smtp'}://{host}:{self.port}"


def parse_smtp_url(url: str) -> Result[SmtpServer, str]:
    """The server of a URL; `Err` says what is wrong and repeats nothing of it, for it has a
    password. Signs in user and password that a URL cannot have are percent-escaped."""
    try:
        parts = urlsplit(url)
        port, user, password = parts.port, parts.username or "", parts.password or ""
    except ValueError:
        return Err(_NOT_A_URL)
    rest = (parts.path.strip("/"), parts.query, parts.fragment)
    if parts.scheme not in ("smtp", "smtps") or any(rest) or not url.isascii():
        return Err(_NOT_A_URL)
    tls_first = parts.scheme == "smtps"
    host = parts.netloc.rpartition("@")[2]
    origin = parse_base_url(f"https://{host}", tenant_owned=False)
    user, password = unquote(user), unquote(password)
    if isinstance(origin, Err) or bool(user) != bool(password):
        return Err(_NOT_A_URL)
    if not (user + password).isprintable():
        return Err("The mail server's user and password have printable characters only.")
    port = port or (465 if tls_first else 587)
    return Ok(SmtpServer(origin.value.host, port, tls_first, user, password))


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
