"""What a provider can do wrong, at each phase, through the whole gateway: the right status or
exactly one error event without `[DONE]`, one row for each attempt, and the next request works.
"""

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.fakes.certificates import Certificates
from tests.fakes.gateway import GatewayTree, a_manifest, wait_until
from tests.fakes.provider import ProviderProcess, refusing_port

TIMEOUTS = {"headers_timeout_s": 1.0, "first_token_timeout_s": 1.0, "idle_timeout_s": 1.0}


class Outcome(NamedTuple):
    status: int
    body: str
    row: dict[str, Any]


class Stage:
    """One gateway; models `small` (the simulated provider), `refused` and `untrusted`."""

    def __init__(self, folder: Path) -> None:
        self.provider = ProviderProcess(folder / "truth")
        self.certificates = Certificates(folder)
        self.untrusted = ProviderProcess(folder / "tls", pem=self.certificates.file("good"))
        self.tree = GatewayTree(folder)
        manifest = a_manifest(self.provider.base_url, **TIMEOUTS)
        for name, url in [
            ("refused", f"http://127.0.0.1:{refusing_port()}/v1"),
            ("untrusted", self.untrusted.base_url),
        ]:
            manifest["providers"].append(
                {"name": name, "kind": "openai_compatible", "base_url": url}
            )
            manifest["models"].append({"name": name, "targets": [{"provider": name, "model": "x"}]})
        manifest["models"].append(
            {
                "name": "two",
                "targets": [
                    {"provider": "refused", "model": "x"},
                    {"provider": "simulated", "model": "small", "priority": 1},
                ],
            }
        )
        self.tree.apply(manifest)
        self.tree.start()
        self._asked = 0

    def ask(self, script: str, *, stream: bool, model: str = "small") -> Outcome:
        self._asked += 1
        tag = f"ask{self._asked}"
        body: dict[str, Any] = {
            "model": model,
            "stream": stream,
            "user": tag,
            "messages": [{"role": "user", "content": f"hi {script}"}],
        }
        request = urllib.request.Request(
            f"{self.tree.base_url}/chat/completions",
            data=json.dumps(body).encode(),
            headers={
                "authorization": f"Bearer {self.tree.key}",
                "content-type": "application/json",
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                status, text = answer.status, read_whole(answer)
        except urllib.error.HTTPError as error:
            with error:
                status, text = error.code, error.read().decode()
        rows = self.rows(tag)
        assert [row["attempt"] for row in rows] == list(range(1, len(rows) + 1))
        return Outcome(status, text, rows[-1])

    def rows(self, tag: str) -> list[dict[str, Any]]:
        """The request's rows; a stream that the provider leaves open is settled a second later."""
        found: list[dict[str, Any]] = []

        def arrived() -> bool:
            self.tree.run("usage")
            found[:] = [row for row in self.tree.ledger() if row["end_user"] == tag]
            return bool(found)

        wait_until(arrived)
        return found


def read_whole(answer: http.client.HTTPResponse) -> str:
    """The body; of a broken stream what came before the connection closed without its end."""
    try:
        return answer.read().decode()
    except http.client.IncompleteRead as cut:
        return cut.partial.decode()


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    made = Stage(tmp_path_factory.mktemp("faults"))
    yield made
    assert made.tree.stop() == 0
    made.provider.stop()
    made.untrusted.stop()


BEFORE = [
    ("fault=reset at=head", 502),
    ("fault=fin at=head", 502),
    ("fault=stall at=head", 504),
    ("fault=garbage at=head", 502),
    ("fault=html", 502),
    ("fault=gzip", 502),
    ("status=302", 502),
    ("status=204", 502),
    ("status=500", 500),
    ("status=429 retry_after=3", 429),
]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(("script", "status"), BEFORE, ids=[script for script, _ in BEFORE])
def test_before_the_first_byte(stage: Stage, script: str, status: int, stream: bool) -> None:
    """A real status in OpenAI's error shape, nothing billed, one row."""
    outcome = stage.ask(f"[[tokens=5 {script}]]", stream=stream)
    assert outcome.status == status, outcome.body
    assert json.loads(outcome.body)["error"]["message"]
    assert (outcome.row["payer"], outcome.row["output"]) == ("failed", 0)


CUTS = [
    "fault=reset at=3",
    "fault=fin at=3",
    "fault=stall at=3",
    "fault=garbage at=3",
    "fault=error_event at=3",
    "fault=long_line at=3",
]


@pytest.mark.parametrize("script", CUTS)
def test_in_the_middle_of_a_stream(stage: Stage, script: str) -> None:
    """One error event, no `[DONE]`; billed what was received, as estimated."""
    outcome = stage.ask(f"[[tokens=9 gap_ms=1 {script}]]", stream=True)
    assert outcome.status == 200
    assert outcome.body.count('"error"') == 1, outcome.body
    assert "[DONE]" not in outcome.body
    assert (outcome.row["payer"], outcome.row["outcome"]) == ("cut", "broken")
    assert outcome.row["usage_source"] == "estimated"
    tokens = outcome.body.count('"content"') - 1  # the first event only names the role
    assert outcome.row["output"] == tokens == 3


@pytest.mark.parametrize("script", ["fault=stall at=first", "fault=reset at=first"])
def test_after_the_head_before_the_first_event(stage: Stage, script: str) -> None:
    """Nothing was sent yet, so the client still gets a real status."""
    outcome = stage.ask(f"[[tokens=5 {script}]]", stream=True)
    assert outcome.status == (504 if "stall" in script else 502)
    assert outcome.row["output"] == 0


@pytest.mark.parametrize(
    "script", ["fault=second at=end", "fault=stall at=end", "fault=malformed at=2", "fault=dribble"]
)
def test_what_does_not_spoil_an_answer(stage: Stage, script: str) -> None:
    """A second answer, a connection that stays open, one bad event: the stream is complete."""
    outcome = stage.ask(f"[[tokens=5 {script}]]", stream=True)
    assert outcome.status == 200
    assert outcome.body.endswith("data: [DONE]\n\n"), outcome.body
    assert outcome.row["outcome"] == "finished"


def test_a_refused_connection_and_an_unknown_certificate(stage: Stage) -> None:
    """502; over TLS not a byte of the request was sent."""
    for model in ("refused", "untrusted"):
        outcome = stage.ask("", stream=False, model=model)
        assert outcome.status == 502
        assert outcome.row["error"].startswith("connect:")
    assert stage.untrusted.truth.by_nonce() == {}


def test_the_next_target_answers(stage: Stage) -> None:
    """The client sees the winner only; the loser's row bills nothing."""
    outcome = stage.ask("[[tokens=4]]", stream=True, model="two")
    assert outcome.status == 200
    assert (outcome.row["attempt"], outcome.row["payer"], outcome.row["output"]) == (
        2,
        "reported",
        4,
    )


def test_it_works_after_all_of_it(stage: Stage) -> None:
    """No fault leaves anything behind."""
    outcome = stage.ask("[[tokens=6]]", stream=False)
    assert (outcome.status, outcome.row["output"]) == (200, 6)
