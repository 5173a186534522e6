import os
import subprocess
import sys
import time

import pytest

from bench.cpu import ProcessGoneError, account, memory, spent_us, tree

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


def test_cpu_time_is_counted_in_full():
    """What a process says it burnt is what its account says, within a scheduler tick or two."""
    roles = {"me": [os.getpid()]}
    before, own = account(roles), time.process_time()
    while time.process_time() - own < 0.05:
        pass
    spent = spent_us(before, account(roles))["me"]
    assert 0.04e6 < spent < 0.2e6


def test_a_tree_has_its_children_and_a_dead_process_is_an_error():
    """Children are found by their parent; afterwards nothing can be read of them."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with child:
        assert child.pid in tree(os.getpid())
        assert memory([child.pid]).rss_kib > 0
        child.communicate(b"\n")
    with pytest.raises(ProcessGoneError):
        account({"child": [child.pid]})
