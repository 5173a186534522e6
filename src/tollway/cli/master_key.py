"""`tollway master-key rotate`: every stored secret moves to the new master key, while all runs."""

import os
import sys
from pathlib import Path

import click

from tollway.adapters.control.client import ControlError
from tollway.app.admin.commands.master_key import Rewrapped, rewrap
from tollway.cli.data_dir import MASTER_KEY_FILE
from tollway.cli.key_change import begin_change, end_change, renew_running
from tollway.cli.outcomes import REFUSED, CommandError
from tollway.cli.session import desk_for, fail, find_running, publish_if_running
from tollway.config import Settings, SettingsError, load_settings
from tollway.domain.brand import COMMAND, ENV_PREFIX
from tollway.wiring.desk import Desk
from tollway.wiring.master_key import rotation_boxes

_PREVIOUS = f"{ENV_PREFIX}MASTER_KEY_PREVIOUS"


@click.group(name="master-key")
def command() -> None:
    """The key that seals every stored secret."""


@command.command(name="rotate")
@click.option("--force", is_flag=True, help="Do not ask the running gateway whether it is ready.")
@click.option("--data-dir", help="Where everything is kept (TOLLWAY_DATA_DIR).")
def rotate(*, force: bool, data_dir: str | None) -> None:
    """Make a new master key, where `serve` made the old one; or seal with TOLLWAY_MASTER_KEY all
    that TOLLWAY_MASTER_KEY_PREVIOUS opens.

    Nothing stops meanwhile, no API key is affected, and it can be run again at any time.
    """
    settings = _given(data_dir)
    ours = settings.master_key is None and settings.master_key_previous is None
    folder = Path(settings.data_dir).absolute()
    if ours and (folder / MASTER_KEY_FILE).exists():
        begin_change(folder)
    with desk_for(data_dir) as desk:
        if ours:
            renew_running(desk.settings)
        elif not force:
            _check_running(desk)
        done, last = _rewrap(desk)
        if ours and not (done.unopened or last.moved):
            end_change(folder)
            renew_running(desk.settings)
    print(f"{done.moved} sealed anew, {done.kept} were already.")
    if done.unopened:
        print("Open with neither key; enter them again: " + ", ".join(done.unopened))
        sys.exit(REFUSED)
    if last.moved:
        print("Some were sealed with the old key meanwhile: run this again.")
    elif ours:
        print(f"The old key is gone. Back the new one up: {folder / MASTER_KEY_FILE}")
    else:
        print(f"{_PREVIOUS} can go: remove it everywhere and restart.")


def _given(data_dir: str | None) -> Settings:
    try:
        return load_settings(os.environ, overrides={"data_dir": data_dir})
    except SettingsError as error:
        fail(str(error))


def _rewrap(desk: Desk) -> tuple[Rewrapped, Rewrapped]:
    old, new = rotation_boxes(desk.settings)
    try:
        done = rewrap(desk.configuration, old_box=old, new_box=new)
        # What was sealed with the old key while that ran.
        last = rewrap(desk.configuration, old_box=old, new_box=new) if done.moved else done
    except ValueError as error:
        raise CommandError(str(error)) from error
    if done.moved:
        _record(desk, done)
        publish_if_running(desk.settings)
    return done, last


def _check_running(desk: Desk) -> None:
    running = find_running(desk.settings)
    if running is None:
        return
    names = [_PREVIOUS, f"{_PREVIOUS}_FILE"]
    try:
        unready = running.missing_variables(names) == names
    except ControlError:
        return
    if unready:
        raise CommandError(
            f"The gateway that runs here has no {_PREVIOUS}: it could not open what is sealed "
            f"anew. Restart it with both keys first. (`{COMMAND} master-key rotate --force` where "
            "they are in a file of settings.)"
        )


def _record(desk: Desk, done: Rewrapped) -> None:
    with desk.configuration.begin() as uow:
        changes = {"moved": done.moved, "kept": done.kept, "unopened": len(done.unopened)}
        desk.work(uow).record(
            "master_key.rotated", kind="master_key", object_id="master_key", changes=changes
        )
        uow.commit()
