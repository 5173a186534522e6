"""`tollway master-key rotate`: every stored secret moves to the new master key, while all runs."""

import sys

import click

from tollway.adapters.control.client import ControlError
from tollway.app.admin.commands.master_key import Rewrapped, rewrap
from tollway.cli.outcomes import REFUSED, CommandError
from tollway.cli.session import desk_for, find_running, publish_if_running
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
    """Seal with TOLLWAY_MASTER_KEY all that TOLLWAY_MASTER_KEY_PREVIOUS opens.

    Nothing stops meanwhile, no API key is affected, and it can be run again at any time.
    """
    with desk_for(data_dir) as desk:
        old, new = rotation_boxes(desk.settings)
        if not force:
            _check_running(desk)
        try:
            done = rewrap(desk.configuration, old_box=old, new_box=new)
            # What was sealed with the old key while that ran.
            last = rewrap(desk.configuration, old_box=old, new_box=new) if done.moved else done
        except ValueError as error:
            raise CommandError(str(error)) from error
        if done.moved:
            _record(desk, done)
            publish_if_running(desk.settings)
    print(f"{done.moved} sealed anew, {done.kept} were already.")
    if done.unopened:
        print("Open with neither key; enter them again: " + ", ".join(done.unopened))
        sys.exit(REFUSED)
    if last.moved:
        print("Some were sealed with the old key meanwhile: run this again.")
    else:
        print(f"{_PREVIOUS} can go: remove it everywhere and restart.")


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
