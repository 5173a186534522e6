"""Which keys a process opens and seals with."""

import pytest

from tollway.adapters.system.secrets import AesGcmBox, load_master_key, new_master_key
from tollway.app.ports import SecretError
from tollway.config import Settings
from tollway.wiring.master_key import master_box

OLD, NEW = new_master_key(), new_master_key()


def test_one_key():
    """Without a previous key there is one."""
    box = master_box(Settings(master_key=NEW))
    assert AesGcmBox(load_master_key(NEW)).open(box.seal(b"s", "p"), "p") == b"s"
    with pytest.raises(SecretError):
        box.open(AesGcmBox(load_master_key(OLD)).seal(b"s", "p"), "p")


def test_the_previous_key_opens_and_never_seals():
    """So that it can be taken away."""
    box = master_box(Settings(master_key=NEW, master_key_previous=OLD))
    assert box.open(AesGcmBox(load_master_key(OLD)).seal(b"s", "p"), "p") == b"s"
    assert AesGcmBox(load_master_key(NEW)).open(box.seal(b"s", "p"), "p") == b"s"


@pytest.mark.parametrize(
    "settings", [Settings(), Settings(master_key=NEW, master_key_previous="?")]
)
def test_a_key_that_is_none(settings):
    """Refused at the start, never worked around."""
    with pytest.raises(SecretError):
        master_box(settings)
