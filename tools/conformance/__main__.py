"""`python -m tools.conformance`: runs the client libraries and the vendors' suites, prints what was
found, renews docs/conformance.md, and fails when something works without the gateway only.
"""

import argparse
import signal
import sys
import time

from tools.conformance.clients import run_clients
from tools.conformance.model import MissingError
from tools.conformance.partial import with_rows_of
from tools.conformance.report import clients_section, read_section, worse, write_section
from tools.conformance.suites import run_suites
from tools.conformance.suites_report import suites_section, unexplained

_PARTS = ("clients", "suites")


def main() -> int:
    """0; 1 when the gateway makes something fail; 2 when something is missing."""
    parser = argparse.ArgumentParser(prog="conformance", description=__doc__)
    parser.add_argument("--only", action="append", choices=_PARTS, help="this part alone")
    parser.add_argument("--no-page", action="store_true", help="leave the page as it is")
    parser.add_argument("--client", default="", help="clients with this in their name alone")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that all that was started ends
    complaints: list[str] = []
    try:
        if "clients" in (given.only or _PARTS):
            complaints += _clients(given.client, write=not given.no_page)
        if "suites" in (given.only or _PARTS) and not given.client:
            complaints += _suites(write=not given.no_page)
    except MissingError as error:
        print(error)
        return 2
    for complaint in complaints:
        print(f"Fails with the gateway only: {complaint}")
    return int(bool(complaints))


def _clients(chosen: str, *, write: bool) -> list[str]:
    run = run_clients(chosen, _say)
    text = clients_section(run, _today())
    print(text)
    whole: str | None = text
    if chosen:
        whole = with_rows_of(text, read_section("clients"), _today())
        if whole is None:
            print("Not written: something failed. Run all clients to have it on the page.")
    if write and whole is not None:
        write_section("clients", whole)
    return worse(run)


def _suites(*, write: bool) -> list[str]:
    runs = run_suites(_say)
    text = suites_section(runs, _today())
    print(text)
    if write:
        write_section("suites", text)
    return unexplained(runs)


def _today() -> str:
    return time.strftime("%Y-%m-%d", time.gmtime())


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
