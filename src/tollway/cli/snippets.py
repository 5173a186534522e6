"""What a new user pastes first: printed by `demo` and `init`, true when pasted as printed."""

import json
import os
import shutil
import sys

from tollway.domain.brand import COMMAND


def curl_snippet(base_url: str, key: str, model: str, *, stream: bool = True) -> str:
    """A `curl` that gets a chat answer."""
    body: dict[str, object] = {
        "model": model,
        "messages": [{"role": "user", "content": "Say hello in one sentence."}],
    }
    if stream:
        body["stream"] = True
    return (
        f"curl {'-N ' if stream else ''}{base_url}/chat/completions \\\n"
        f"  -H 'Authorization: Bearer {key}' \\\n"
        f"  -H 'Content-Type: application/json' \\\n"
        f"  -d '{json.dumps(body)}'"
    )


def python_snippet(base_url: str, key: str, model: str) -> str:
    """The same with the official client (`pip install openai`)."""
    return (
        "from openai import OpenAI\n"
        f'client = OpenAI(base_url="{base_url}", api_key="{key}")\n'
        "stream = client.chat.completions.create(\n"
        f'    model="{model}", stream=True,\n'
        '    messages=[{"role": "user", "content": "Say hello in one sentence."}])\n'
        "for chunk in stream:\n"
        '    print(chunk.choices[0].delta.content or "", end="", flush=True)'
    )


def command_name() -> str:
    """How this user can call the command: by name, or by the path it was started with."""
    if shutil.which(COMMAND):
        return COMMAND
    script = os.path.join(os.path.dirname(sys.executable), COMMAND)
    return os.path.relpath(script) if os.path.exists(script) else f"{sys.executable} -m tollway"


def indented(text: str, by: str = "  ") -> str:
    """The text with every line moved in."""
    return "\n".join(by + line for line in text.splitlines())
