"""An issuer of signed tokens whose every answer a test may bend: documents, keys, claims, headers,
signatures. For the attacks; the honest provider is `tests/fakes/openid.py`.
"""

import json
import threading
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from cryptography.hazmat.primitives import serialization
from joserfc import jws
from joserfc.jwk import ECKey, OctKey, RSAKey

NOW_S = 1_790_000_000
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "ES512", "HS256"]
Key = RSAKey | ECKey

# Made once: an RSA key takes a tenth of a second.
RSA_KEY = RSAKey.generate_key(2048, {"kid": "rsa-1"})
OTHER_RSA_KEY = RSAKey.generate_key(2048, {"kid": "rsa-2"})
EC_KEY = ECKey.generate_key("P-256", {"kid": "ec-1"})


def b64(data: bytes | Mapping[str, Any]) -> str:
    """Base64url of bytes, or of an object as JSON."""
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def public_pem(key: RSAKey) -> bytes:
    """What an attacker has of an RSA key, as PEM."""
    return key.public_key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def sign(
    claims: Mapping[str, Any] | bytes,
    key: Key | OctKey = RSA_KEY,
    *,
    algorithm: str = "RS256",
    **header: Any,
) -> str:
    """A token. `header` adds members to it or, with None, takes them out."""
    members = {"alg": algorithm, "kid": key.kid, **header}
    members = {name: value for name, value in members.items() if value is not None}
    body = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    return sign_text(json.dumps(members).encode(), body, key, algorithm)


def sign_text(header: bytes, body: bytes, key: Key | OctKey, algorithm: str) -> str:
    """A token over exactly these bytes, as no honest library would make it."""
    signing_input = f"{b64(header)}.{b64(body)}".encode()
    model = jws.JWSRegistry.algorithms[algorithm]
    return f"{signing_input.decode()}.{b64(model.sign(signing_input, key))}"


class Issuer:
    """Documents by path, and how often each was asked for. A value that is an int is a status."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: dict[str, int] = {}
        self.forms: list[dict[str, str]] = []
        self.authorizations: list[str | None] = []
        self.hold = threading.Event()  # answers wait for it
        self.hold.set()
        self.answers: dict[str, Any] = {}
        self.metadata: dict[str, Any] = {
            "issuer": url,
            "jwks_uri": f"{url}/jwks",
            "authorization_endpoint": f"{url}/authorize",
            "token_endpoint": f"{url}/token",
        }
        self.answers["/.well-known/openid-configuration"] = self.metadata
        self.publish(RSA_KEY, EC_KEY)

    def publish(self, *keys: Key) -> None:
        """From now on these are the keys."""
        self.answers["/jwks"] = {"keys": [key.as_dict(private=False) for key in keys]}


@contextmanager
def running_issuer() -> Iterator[Issuer]:
    """An issuer on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            size = int(self.headers.get("content-length", 0))
            issuer.forms.append(dict(parse_qsl(self.rfile.read(size).decode())))
            issuer.authorizations.append(self.headers.get("authorization"))
            issuer.asked[path] = issuer.asked.get(path, 0) + 1
            issuer.hold.wait(30)
            answer = issuer.answers.get(path, 404)
            if callable(answer):
                answer = answer()
            status, body = (answer, b"{}") if isinstance(answer, int) else (200, answer)
            if isinstance(body, tuple):
                status, body = body
            raw = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("location", f"{issuer.url}/jwks")
            self.send_header("content-length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    issuer = Issuer(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield issuer
    finally:
        issuer.hold.set()
        server.shutdown()
        thread.join()
        server.server_close()
