"""A real, certified OpenID provider (`oidc-provider`, under node) for tests, and a browser that
signs in through its HTML forms. Not a fake of ours: what it refuses, real providers refuse.
"""

import http.cookiejar
import json
import os
import re
import shutil
import subprocess
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

import pytest

FOLDER = Path(__file__).parent.parent / "openid"
REDIRECT_URI = "https://tollway.example/auth/oidc/callback"
ADMIN_URL = "https://tollway.example"
ADMIN_REDIRECT_URI = f"{ADMIN_URL}/api/v1/auth/oidc/corp/callback"
AFTER_LOGOUT = "https://tollway.example/signed-out"
AUDIENCE = "https://gateway.example"
CLIENT_ID, CLIENT_SECRET = "tollway", "a secret: with + and % in it"
PUBLIC_CLIENT_ID = "tollway-public"
MACHINE_ID, MACHINE_SECRET = "robot", "another-secret-of-some-length"

PEOPLE: Mapping[str, Mapping[str, Any]] = {
    "ada": {
        "email": "Ada@Acme.example",
        "email_verified": True,
        "name": "Ada Lovelace",
        "groups": ["acme-admins", "staff"],
    },
    "bob": {"email": "bob@acme.example", "email_verified": False, "name": "Bob", "groups": []},
}
CLIENTS: list[dict[str, Any]] = [
    {
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "redirect_uris": [REDIRECT_URI, ADMIN_REDIRECT_URI],
        "post_logout_redirect_uris": [AFTER_LOGOUT],
    },
    {
        "client_id": PUBLIC_CLIENT_ID,
        "token_endpoint_auth_method": "none",
        "redirect_uris": [REDIRECT_URI],
        "id_token_signed_response_alg": "ES256",
    },
    {
        "client_id": MACHINE_ID,
        "client_secret": MACHINE_SECRET,
        "client_name": "acme",  # goes into the claim `tenant` of its access tokens
        "grant_types": ["client_credentials"],
        "redirect_uris": [],
        "response_types": [],
    },
]


class OpenIdServer:
    """A running provider."""

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer

    def rotate(self) -> None:
        """New signing keys; the old ones are published no more."""
        request = urllib.request.Request(f"{self.issuer}/rotate", b"", method="POST")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=30) as answer:
            assert answer.status == 204

    def machine_token(self) -> str:
        """A JWT for `AUDIENCE`, by the client credentials grant."""
        form = {
            "grant_type": "client_credentials",
            "resource": AUDIENCE,
            "scope": "gateway",
        }
        pair = b64encode(f"{MACHINE_ID}:{MACHINE_SECRET}".encode()).decode()
        request = urllib.request.Request(
            f"{self.issuer}/token", urlencode(form).encode(), {"authorization": f"Basic {pair}"}
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=30) as answer:
            token: str = json.load(answer)["access_token"]
        return token


class Browser:
    """Follows redirects, keeps cookies, and fills in the provider's forms."""

    def __init__(self) -> None:
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()),
            _NoRedirect(),
        )

    def sign_in(self, url: str, login: str, *, back_at: str = REDIRECT_URI) -> dict[str, str]:
        """From the login URL to the parameters of the redirect back."""
        form: dict[str, str] | None = None
        for _ in range(20):
            place, page = self._open(url, form)
            if place is not None:
                if place.startswith(back_at):
                    return dict(parse_qsl(urlsplit(place).query, keep_blank_values=True))
                url, form = place, None
                continue
            url, form = _filled_in(url, page, login)
        raise AssertionError("the provider's forms did not come to an end")

    def _open(self, url: str, form: dict[str, str] | None) -> tuple[str | None, str]:
        """Where an answer redirects to, and its page."""
        body = None if form is None else urlencode(form).encode()
        try:
            with self._opener.open(urllib.request.Request(url, body), timeout=30) as answer:
                return None, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                if error.code not in {302, 303}:
                    raise AssertionError(f"{url}: {error.code} {error.read()[:2000]!r}") from None
                return urljoin(url, error.headers["location"]), ""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _filled_in(url: str, page: str, login: str) -> tuple[str, dict[str, str]]:
    action = re.search(r'<form[^>]* action="([^"]+)"', page)
    assert action is not None, page
    form = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page))
    if 'name="login"' in page:
        form |= {"login": login, "password": "not asked"}
    return urljoin(url, action[1]), form


@contextmanager
def running_provider() -> Iterator[OpenIdServer]:
    """The provider, on a free port of this machine."""
    node = shutil.which("node")
    if node is None or not (FOLDER / "node_modules" / "oidc-provider").is_dir():
        missing = "The OpenID provider is not installed: run `make openid` (needs node and npm)."
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    given = json.dumps({"people": PEOPLE, "clients": CLIENTS, "audience": AUDIENCE})
    process = subprocess.Popen(
        [node, "provider.mjs", given],
        cwd=FOLDER,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        issuer = process.stdout.readline().strip()
        assert issuer.startswith("http://127.0.0.1:"), "the provider did not start"
        yield OpenIdServer(issuer)
    finally:
        process.stdin.close()
        process.wait(30)
        process.stdout.close()
