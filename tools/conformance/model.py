"""The demo's small model, made to call tools: the same weights and runtime, a chat template that
shows a call before it asks for one, the likeliest token always, and room for an agent's prompt.

The template of the weights knows no tools. Run as a module this is the child that serves.
"""

import contextlib
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tollway.cli.model_server import MODEL_ALIAS, find_weights, missing_reason

_TEMPLATE = Path(__file__).with_name("tools.jinja")
_CONTEXT_TOKENS = 16_384
_SLOTS = 2  # each has half of the context
_LONGEST_ANSWER_TOKENS = 256  # it may never come to an end, and some clients set no limit


class MissingError(Exception):
    """Something that the target needs is not there; the text says what."""


@contextlib.contextmanager
def small_model() -> Iterator[str]:
    """Its base URL while it runs."""
    reason = missing_reason()
    if reason is not None:
        raise MissingError(reason)
    with subprocess.Popen(
        [sys.executable, "-m", __name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None and process.stdin is not None
        try:
            address = process.stdout.readline().strip()
            if not address:
                raise MissingError("the small model did not start")
            yield f"{address}/v1"
        finally:
            process.stdin.close()  # which it takes as the end
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def _serve() -> object:
    """A loaded, listening server."""
    runtime = importlib.import_module("xllamacpp")
    params = runtime.CommonParams()
    params.model.path = str(find_weights())
    params.model_alias = {MODEL_ALIAS}
    params.chat_template = _TEMPLATE.read_text("utf-8")
    params.sampling.temp = 0.0
    params.port = 0
    params.n_parallel = _SLOTS
    params.n_ctx = _CONTEXT_TOKENS
    params.n_predict = _LONGEST_ANSWER_TOKENS
    params.cpuparams.n_threads = 1  # two wait for each other where others use the cores
    params.cache_ram_mib = 0
    params.verbosity = 1
    params.ui = False
    return runtime.Server(params)


def main() -> None:
    """The child: print the address, serve until standard input ends."""
    server = _serve()
    print(getattr(server, "listening_address", ""), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
