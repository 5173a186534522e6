"""The operating system's randomness."""

import os


def system_entropy(size_bytes: int) -> bytes:
    """That many unpredictable bytes: an `app.ports_admin.Entropy`."""
    return os.urandom(size_bytes)
