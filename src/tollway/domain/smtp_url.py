"""Which mail server notices go through: `smtp://user:password@host:587` or `smtps://...:465`.

There is no way to send a password, or a notice, in the clear to another machine.
"""

import re
from dataclasses import dataclass, field
from ipaddress import ip_address

from tollway.domain.origin import parse_base_url
from tollway.domain.result import Err, Ok, Result

# RFC 3986's userinfo and escapes; the host is judged by `origin.py`.
_SIGN = r"[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2}"
_URL = re.compile(
    rf"(?P<scheme>smtps?)://(?:(?P<user>(?:{_SIGN})+):(?P<password>(?:{_SIGN}|:)+)@)?"
    r"(?P<host>[A-Za-z0-9._\[\]:-]+)/?"
)
_PORT = re.compile(r":[0-9]+$")
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
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
    match = _URL.fullmatch(url)
    if match is None:
        return Err(_NOT_A_URL)
    origin = parse_base_url(f"https://{match['host']}", tenant_owned=False)
    if isinstance(origin, Err):
        return Err(_NOT_A_URL)
    try:
        user, password = (_unescaped(match[name] or "") for name in ("user", "password"))
    except UnicodeDecodeError:
        return Err(_NOT_A_URL)
    if not (user + password).isprintable():
        return Err("The mail server's user and password have printable characters only.")
    tls_first = match["scheme"] == "smtps"
    usual_port = 465 if tls_first else 587
    port = origin.value.port if _PORT.search(match["host"]) else usual_port
    return Ok(SmtpServer(origin.value.host, port, tls_first, user, password))


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda escape: bytes([int(escape[1], 16)]), text.encode()).decode()


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
