"""The small model as a child process. Most of this needs the extra `demo`."""

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.gateway import ended
from tollway.cli import model_server
from tollway.cli.model_server import MODEL_ALIAS, ModelOptions, ModelProcess, start_model
from tollway.domain.result import Err, Ok

needs_model = pytest.mark.skipif(
    model_server.missing_reason() is not None, reason=str(model_server.missing_reason())
)


@pytest.fixture(scope="module")
def model() -> Iterator[ModelProcess]:
    started = start_model(ModelOptions(threads=1))
    assert isinstance(started, Ok), started
    yield started.value
    started.value.stop()


def post(model: ModelProcess, path: str, body: object) -> tuple[int, bytes]:
    request = urllib.request.Request(
        model.base_url + path,
        json.dumps(body).encode(),
        {"content-type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def ask(**fields: object) -> dict[str, object]:
    messages = [{"role": "user", "content": "Say hello."}]
    return {"model": MODEL_ALIAS, "messages": messages, "max_tokens": 8, **fields}


@pytest.mark.model
@needs_model
def test_a_chat_answers_with_usage(model: ModelProcess) -> None:
    """A whole answer holds text and counts."""
    status, body = post(model, "/chat/completions", ask())
    answer = json.loads(body)
    assert status == 200
    assert answer["model"] == MODEL_ALIAS
    assert answer["choices"][0]["message"]["content"]
    assert 1 <= answer["usage"]["completion_tokens"] <= 8


@pytest.mark.model
@needs_model
def test_a_stream_ends_with_usage(model: ModelProcess) -> None:
    """A stream brings text, then the usage that was asked for, then `[DONE]`."""
    status, body = post(
        model, "/chat/completions", ask(stream=True, stream_options={"include_usage": True})
    )
    *events, done = [line[6:] for line in body.split(b"\n\n") if line]
    chunks = [json.loads(event) for event in events]
    assert (status, done) == (200, b"[DONE]")
    assert any(chunk["choices"][0]["delta"].get("content") for chunk in chunks if chunk["choices"])
    assert chunks[-1]["usage"]["total_tokens"] > 8


@pytest.mark.model
@needs_model
def test_an_unknown_path_is_a_404(model: ModelProcess) -> None:
    """The server answers errors in OpenAI's shape."""
    status, body = post(model, "/nothing", {})
    assert status == 404
    assert json.loads(body)["error"]["message"]


@pytest.mark.model
@needs_model
def test_it_ends_on_sigterm_and_stop_may_come_twice() -> None:
    """SIGTERM is enough, and a dead child is seen."""
    started = start_model(ModelOptions(threads=1))
    assert isinstance(started, Ok), started
    assert started.value.is_alive()
    os.kill(started.value.pid, signal.SIGTERM)
    assert ended(started.value.pid)
    assert not started.value.is_alive()
    started.value.stop()
    started.value.stop()


@pytest.mark.model
@needs_model
def test_it_ends_when_its_parent_is_killed() -> None:
    """No orphan stays behind a parent that had no time to say goodbye."""
    script = (
        "from tollway.cli.model_server import *\n"
        "started = start_model(ModelOptions(threads=1))\n"
        "print(started.value.pid, flush=True)\n"
        "input()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert not ended(pid, 0)
        parent.kill()
    assert ended(pid)


@pytest.mark.model
@needs_model
def test_a_taken_port_is_a_reason_not_a_crash(model: ModelProcess) -> None:
    """What keeps the model from starting comes back as text."""
    started = start_model(ModelOptions(port=model.port, threads=1))
    assert isinstance(started, Err)
    assert "did not start" in started.error


def test_a_missing_package_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra there is no model and the reason says how to get it."""
    monkeypatch.setattr(model_server, "_RUNTIME", "no_such_package_here")
    started = start_model()
    assert isinstance(started, Err)
    assert "make demo" in started.error


def test_a_package_without_weights_is_a_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The model's file is looked for without importing its package."""
    (tmp_path / "weightless").mkdir()
    (tmp_path / "weightless" / "__init__.py").write_text("raise ImportError('imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(model_server, "_RUNTIME", "json")
    monkeypatch.setattr(model_server, "_WEIGHTS", "weightless")
    assert "no .gguf" in str(model_server.missing_reason())
    weights = tmp_path / "weightless" / "tiny.gguf"
    weights.touch()
    assert model_server.missing_reason() is None
    assert model_server.find_weights() == weights


def test_windows_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """The platform is judged before anything is looked up."""
    monkeypatch.setattr(sys, "platform", "win32")
    assert "Windows" in str(model_server.missing_reason())


@pytest.mark.parametrize(
    ("child", "reason"),
    [
        ("import sys; sys.exit(7)", "code 7"),
        ("import os; os.kill(os.getpid(), 4)", "code -4"),
        ("import time; time.sleep(60)", "not ready within 0.5 s"),
    ],
)
def test_a_child_that_fails_is_a_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, child: str, reason: str
) -> None:
    """A crash of the native runtime or a hang does not become an exception."""
    script = tmp_path / "python"
    script.write_text(f"#!{sys.executable}\n{child}\n")
    script.chmod(0o755)
    monkeypatch.setattr(model_server, "missing_reason", lambda: None)
    monkeypatch.setattr(sys, "executable", str(script))
    started = start_model(ModelOptions(start_timeout_s=0.5 if "sleep" in child else 30))
    assert isinstance(started, Err)
    assert reason in started.error
