"""What a provider says of itself."""

from collections.abc import Iterator

import pytest

from tests.fakes.clock import FixedClock
from tests.fakes.issuer import Issuer, running_issuer
from tollway.adapters.identity.discovery import Discovery, read_metadata
from tollway.adapters.identity.fetching import Fetcher, FetchError

PATH = "/.well-known/openid-configuration"
URL = "https://id.example"
DOCUMENT = {"issuer": URL, "jwks_uri": f"{URL}/jwks", "token_endpoint": f"{URL}/token?p=1"}


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with running_issuer() as running:
        yield running


def test_a_document_is_read() -> None:
    """What is not offered is empty; a client secret goes into a header unless that is refused."""
    metadata = read_metadata(DOCUMENT, URL)
    assert metadata.token_endpoint == f"{URL}/token?p=1"
    assert metadata.userinfo_endpoint == "" and not metadata.secret_in_form
    methods = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    assert read_metadata({**DOCUMENT, **methods}, URL).secret_in_form


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"issuer": "https://id.example/"}, "another issuer"),
        ({"issuer": None}, "another issuer"),
        ({"jwks_uri": ""}, "jwks_uri is empty"),
        ({"jwks_uri": "http://id.example/jwks"}, "https"),
        ({"jwks_uri": "http://127.0.0.1:5000/jwks"}, "this machine"),
        ({"jwks_uri": "https://localhost/jwks"}, "this machine"),
        ({"token_endpoint": "http://[::1]:1/"}, "this machine"),
        ({"userinfo_endpoint": "file:///etc/passwd"}, "userinfo_endpoint"),
        ({"end_session_endpoint": ["x"]}, "no text"),
        ({"authorization_endpoint": "javascript:alert(1)"}, "authorization_endpoint"),
    ],
)
def test_a_dangerous_document_is_refused(change: dict[str, object], part: str) -> None:
    """Another issuer's, one over plain http, or one that points back at this machine."""
    with pytest.raises(FetchError, match=part):
        read_metadata({**DOCUMENT, **change}, URL)


def test_metadata_is_kept_for_an_hour(issuer: Issuer) -> None:
    """One fetch serves all logins of an hour."""
    clock = FixedClock()
    discovery = Discovery(issuer.url, Fetcher(), clock)
    assert discovery.known is None
    first = discovery.metadata()
    clock.now_ns += 3599 * 10**9
    assert discovery.metadata() is first is discovery.known
    clock.now_ns += 1 * 10**9
    discovery.metadata()
    assert issuer.asked[PATH] == 2


def test_the_last_good_metadata_serves_for_a_day(issuer: Issuer) -> None:
    """A provider that is away is asked every ten seconds, and its last word holds for a day."""
    clock = FixedClock()
    discovery = Discovery(issuer.url, Fetcher(), clock)
    first = discovery.metadata()
    issuer.answers[PATH] = 503
    clock.now_ns += 3600 * 10**9
    for _ in range(5):
        assert discovery.metadata() is first
    assert issuer.asked[PATH] == 2
    clock.now_ns += 86_400 * 10**9
    with pytest.raises(FetchError, match="503"):
        discovery.metadata()


def test_a_failure_is_remembered_for_ten_seconds(issuer: Issuer) -> None:
    """A thousand clicks on "sign in" do not make a thousand fetches."""
    clock = FixedClock()
    discovery = Discovery(issuer.url, Fetcher(), clock)
    document = issuer.answers[PATH]
    issuer.answers[PATH] = 500
    for _ in range(3):
        with pytest.raises(FetchError, match="500"):
            discovery.metadata()
    assert issuer.asked[PATH] == 1
    issuer.answers[PATH] = document
    clock.now_ns += 10 * 10**9
    assert discovery.metadata().jwks_uri == f"{issuer.url}/jwks"
