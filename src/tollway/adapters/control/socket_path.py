"""Unix socket addresses are limited to about 107 bytes; a data directory's path is not. A deep path
is reached through a descriptor of its folder.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

_MAX_PATH_BYTES = 100


@contextmanager
def reachable(path: str) -> Iterator[str]:
    """An address for the socket at this path that fits, valid inside the `with`."""
    if len(os.fsencode(path)) <= _MAX_PATH_BYTES:
        yield path
        return
    folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{os.path.basename(path)}"
    finally:
        os.close(folder)
