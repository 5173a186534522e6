"""`python -m tools.conformance`: runs the client libraries and the vendors' suites, prints what was
found, renews docs/conformance.md, and fails when something works without the gateway only.
"""

import argparse
import signal
import sys
import time

from tools.conformance.clients import run_clients
from tools.conformance.model import MissingError
from tools.conformance.report import clients_section, worse, write_section

_PARTS = ("clients",)


def main() -> int:
    """0; 1 when the gateway makes something fail; 2 when something is missing."""
    parser = argparse.ArgumentParser(prog="conformance", description=__doc__)
    parser.add_argument("--only", action="append", choices=_PARTS, help="this part alone")
    parser.add_argument("--no-page", action="store_true", help="leave the page as it is")
    parser.add_argument("--client", default="", help="clients with this in their name; no page")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that all that was started ends
    complaints: list[str] = []
    try:
        if "clients" in (given.only or _PARTS):
            complaints += _clients(given.client, write=not given.no_page and not given.client)
    except MissingError as error:
        print(error)
        return 2
    for complaint in complaints:
        print(f"Fails with the gateway only: {complaint}")
    return int(bool(complaints))


def _clients(chosen: str, *, write: bool) -> list[str]:
    run = run_clients(chosen, _say)
    text = clients_section(run, time.strftime("%Y-%m-%d", time.gmtime()))
    print(text)
    if write:
        write_section("clients", text)
    return worse(run)


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
