"""`tollway doctor`: what is wrong with this installation, and what to do about it."""

import json
import os
import sys
from dataclasses import asdict

import click

from tollway.cli.checks import run_checks
from tollway.cli.session import command_settings, fail
from tollway.config import SettingsError


@click.command(name="doctor")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text")
@click.option("--data-dir", help="Where everything is kept (TOLLWAY_DATA_DIR).")
def command(output: str, data_dir: str | None) -> None:
    """Check the installation. Exit code 1 when something must be mended."""
    try:
        findings = list(run_checks(command_settings(data_dir), os.environ))
    except SettingsError as error:
        fail(str(error))
    if output == "json":
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        for finding in findings:
            remedy = f"  ->  {finding.remedy}" if finding.remedy else ""
            print(f"{finding.level:<5} {finding.what}{remedy}")
    sys.exit(any(finding.level == "fail" for finding in findings))
