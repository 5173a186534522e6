"""How commands reach the admin API: which, as whom, and what is said when it does not work out."""

import http.server
import json
import os
import threading
from typing import ClassVar

import pytest

from tests.fakes.admin_server import AdminServer
from tests.fakes.certificates import Authority
from tests.fakes.control_plane import ADMIN_TOKEN
from tollway.cli.access import Reach, open_client
from tollway.cli.admin_client import AdminClient
from tollway.cli.outcomes import CommandError

PARTS = ("CERT", "KEY")


class Odd(http.server.BaseHTTPRequestHandler):
    """Answers with what it was told to, and remembers who asked."""

    answer = (200, {}, b"{}")
    seen: ClassVar[list[str | None]] = []

    def do_GET(self):
        self.seen.append(self.headers.get("authorization"))
        status, headers, body = self.answer
        self.send_response(status)
        for name, value in {"content-length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def odd():
    Odd.seen = []
    server = http.server.HTTPServer(("127.0.0.1", 0), Odd)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        ((302, {"location": "http://127.0.0.1:9/"}, b""), 1, "answers 302"),
        ((200, {}, b"<html>"), 6, "Is the URL right"),
        ((502, {}, b"bad gateway"), 6, "answers 502"),
        ((503, {}, b'{"title": "Not available now", "detail": "Later."}'), 6, "Later."),
        ((429, {}, b'{"title": "Too many", "detail": "Later."}'), 6, "Later."),
        ((404, {}, b"null"), 4, "answers 404"),
        (
            (400, {}, b'{"title":"T","detail":"D","errors":[{"field":"f","message":"m"}]}'),
            1,
            "T: D\n  f: m",
        ),
        (
            (400, {}, b'{"title":"T","detail":"D m","errors":[{"field":"f","message":"m"}]}'),
            1,
            "(f)",
        ),
    ],
)
def test_what_is_no_success_is_an_error_with_a_code(odd, answer, code, said):
    """A redirect too: the token goes nowhere else."""
    Odd.answer = answer
    client = AdminClient(odd, "t")
    with pytest.raises(CommandError) as refused:
        client.ask("GET", "/tenants")
    client.close()
    assert refused.value.code == code
    assert said in str(refused.value)
    assert Odd.seen == ["Bearer t"]


@pytest.mark.parametrize("url", ["ftp://x", "x:y", "http://", "http://x:port", "http://h/?q=1"])
def test_a_url_that_is_none(url):
    """Is said at once."""
    with pytest.raises(CommandError) as refused:
        AdminClient(url, "t")
    assert refused.value.code == 2


def test_nobody_there():
    """Code 6, and what to look at."""
    client = AdminClient("http://127.0.0.1:9", "t")
    with pytest.raises(CommandError, match="serve") as refused:
        client.ask("GET", "/tenants")
    assert refused.value.code == 6


def test_the_url_may_have_the_prefix_in_it(api: AdminServer):
    """As the API's own page shows it."""
    assert api.run("tenants", "list", "--url", f"{api.url}/api/v1/").exit_code == 0


def test_where_the_token_comes_from(api: AdminServer, tmp_path):
    """An argument's reference, the variable, the variable's file: in this order; no literal."""
    (tmp_path / "token").write_text(f"{ADMIN_TOKEN}\n")
    file, nothing = str(tmp_path / "token"), {"TOLLWAY_TOKEN": ""}
    assert api.run("tenants", "list", env={**nothing, "TOLLWAY_TOKEN_FILE": file}).exit_code == 0
    argument = ("tenants", "list", "--token", f"file:{file}")
    assert api.run(*argument, token="wrong").exit_code == 0
    assert api.run("tenants", "list", "--token", "env:T", env={"T": ADMIN_TOKEN}).exit_code == 0
    literal = api.run("tenants", "list", "--token", ADMIN_TOKEN)
    assert literal.exit_code == 2
    assert ADMIN_TOKEN not in literal.output
    for wrong in ("env:NO_SUCH_VARIABLE", f"file:{tmp_path}/none"):
        assert api.run("tenants", "list", "--token", wrong).exit_code == 2
    (tmp_path / "token").write_text("two\nlines")
    assert api.run(*argument).exit_code == 2


def running(folder, url):
    """A data directory that says a gateway runs there: this process."""
    (folder / "run").mkdir(parents=True)
    state = {"pid": os.getpid(), "admin_pid": 0, "workers": []}
    state |= {"gateway_url": "", "ops_url": "", "admin_url": url}
    (folder / "run" / "state.json").write_text(json.dumps(state))


def test_here_nothing_has_to_be_given(api: AdminServer, tmp_path):
    """The running gateway's address, and the token of its data directory."""
    running(tmp_path / "data", api.url)
    (tmp_path / "data" / "admin.token").write_text(ADMIN_TOKEN)
    here = {"TOLLWAY_DATA_DIR": str(tmp_path / "data"), "TOLLWAY_ADMIN_URL": ""}
    assert api.run("tenants", "list", token="", env=here).exit_code == 0
    # For browsers: the token of this machine does not go there.
    there = {**here, "TOLLWAY_ADMIN_URL": "http://127.0.0.1:9"}
    assert api.run("tenants", "list", token="", env=there).exit_code == 0
    (tmp_path / "data" / "admin.token").write_text("another")
    done = api.run("tenants", "list", token="", env=here)
    assert done.exit_code == 3
    assert "another admin token" in done.stderr


def test_the_token_of_this_machine_is_sent_to_no_address_that_was_given(odd, tmp_path):
    """Nor to whoever took the usual port while nothing of ours runs."""
    data = tmp_path / "data"
    running(data, odd)
    (data / "admin.token").write_text("secret")
    for environ, reach, code in (
        ({}, Reach(url="http://127.0.0.1:9"), 3),
        ({"TOLLWAY_ADMIN_URL": odd}, Reach(data_dir=str(tmp_path / "other")), 3),
        ({}, Reach(data_dir=str(tmp_path / "other")), 6),
    ):
        with pytest.raises(CommandError) as refused:
            open_client(reach, {"TOLLWAY_DATA_DIR": str(data), **environ})
        assert refused.value.code == code
    assert Odd.seen == []
    assert not (tmp_path / "other").exists()
    (data / "run" / "state.json").unlink()
    running_without = tmp_path / "parts"
    running(running_without, "")
    with pytest.raises(CommandError, match="without an admin API"):
        open_client(Reach(data_dir=str(running_without)), {})


def test_over_tls_here_only_the_gateways_own_certificate_counts(tmp_path):
    """Whatever name it has and whoever signed it; with any other certificate nobody is asked."""
    authority = Authority()
    for name in ("own", "other"):
        (tmp_path / f"{name}.pem").write_bytes(authority.issue(["gateway.example"]))
    server = AdminServer(tmp_path, pem=tmp_path / "own.pem")
    running(tmp_path / "data", server.url)
    (tmp_path / "data" / "admin.token").write_text(ADMIN_TOKEN)
    environ = {"TOLLWAY_DATA_DIR": str(tmp_path / "data"), "TOLLWAY_TOKEN": ""}
    environ["TOLLWAY_ADMIN_URL"] = ""
    try:
        for name, code in (("own", 0), ("other", 6), ("none", 1)):
            files = {f"TOLLWAY_TLS_{part}_FILE": str(tmp_path / f"{name}.pem") for part in PARTS}
            assert server.run("tenants", "list", env={**environ, **files}).exit_code == code
        assert server.run("tenants", "list", env=environ).exit_code == 6
        (tmp_path / "ca.pem").write_bytes(authority.pem())
        trusting = {**environ, "SSL_CERT_FILE": str(tmp_path / "ca.pem"), "T": ADMIN_TOKEN}
        named = ("--url", server.url.replace("127.0.0.1", "localhost"), "--token", "env:T")
        done = server.run("tenants", "list", *named, env=trusting)
        assert "Hostname mismatch" in done.stderr  # signed by whom it must, for another host
        assert "SSL_CERT_FILE" in done.stderr
    finally:
        server.close()


def test_a_token_without_a_url_goes_to_this_machine(tmp_path):
    """The running gateway's address, else the one that is configured."""
    environ = {"TOLLWAY_DATA_DIR": str(tmp_path / "data"), "TOLLWAY_TOKEN": "t"}
    assert open_client(Reach(), environ).url == "http://127.0.0.1:5000"
    environ |= {"TOLLWAY_HOST": "::", "TOLLWAY_ADMIN_PORT": "80"}
    assert open_client(Reach(), environ).url == "http://127.0.0.1:80"
    running(tmp_path / "data", "http://127.0.0.1:1234")
    assert open_client(Reach(), environ).url == "http://127.0.0.1:1234"
