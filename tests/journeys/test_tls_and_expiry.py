"""TLS on both sides with the official client, and a key whose time runs out."""

import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import openai
import pytest
from openai import OpenAI

from tests.fakes.certificates import Certificates
from tests.fakes.gateway import GatewayTree, a_manifest, wait_until
from tests.fakes.provider import ProviderProcess


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


@pytest.fixture
def provider(tmp_path: Path, certificates: Certificates) -> Iterator[ProviderProcess]:
    process = ProviderProcess(tmp_path / "truth", pem=certificates.file("good"))
    yield process
    process.stop()


def test_encrypted_on_both_sides(
    tmp_path: Path, certificates: Certificates, provider: ProviderProcess
) -> None:
    """HTTPS in, HTTPS out with a private authority, streamed and not; a client that does not know
    the gateway's authority does not connect."""
    pem = certificates.file("good")
    tree = GatewayTree(
        tmp_path, tls_cert_file=pem, tls_key_file=pem, upstream_ca_file=certificates.ca_file
    )
    tree.apply(a_manifest(provider.base_url))
    tree.start()
    try:
        assert tree.base_url.startswith("https://")
        context = ssl.create_default_context(cafile=str(certificates.ca_file))
        with OpenAI(
            base_url=tree.base_url,
            api_key=tree.key,
            max_retries=0,
            http_client=httpx2.Client(verify=context),
        ) as client:
            ask = client.chat.completions.create
            messages: list[openai.types.chat.ChatCompletionMessageParam]
            messages = [{"role": "user", "content": "[[tokens=5]] hi"}]
            whole = ask(model="small", messages=messages)
            assert whole.usage is not None
            assert whole.usage.completion_tokens == 5
            chunks = list(ask(model="small", messages=messages, stream=True))
            assert sum(bool(one.choices and one.choices[0].delta.content) for one in chunks) == 5
        with (
            OpenAI(base_url=tree.base_url, api_key=tree.key, max_retries=0) as stranger,
            pytest.raises(openai.APIConnectionError),
        ):
            stranger.models.list()
        tree.run("usage")
        assert [row["output"] for row in tree.ledger()] == [5, 5]
    finally:
        assert tree.stop() == 0


def test_a_key_ends_at_its_time(tmp_path: Path) -> None:
    """Valid, then 401, with nothing published in between."""
    tree = GatewayTree(tmp_path)
    manifest = a_manifest("")
    manifest["providers"] = [{"name": "simulated", "kind": "echo"}]
    ends = datetime.now(UTC) + timedelta(seconds=6)
    manifest["keys"][0]["expires_at"] = ends.isoformat()
    tree.apply(manifest)
    tree.start()
    try:
        with OpenAI(base_url=tree.base_url, api_key=tree.key, max_retries=0) as client:
            assert [model.id for model in client.models.list()] == ["small"]

            def refused() -> bool:
                try:
                    client.models.list()
                except openai.AuthenticationError:
                    return True
                return False

            wait_until(refused)
            assert abs(time.time() - ends.timestamp()) < 2
    finally:
        assert tree.stop() == 0
