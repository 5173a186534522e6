"""The operating system's randomness."""

import os


class SystemEntropy:
    """Implements `app.ports_admin.Entropy`."""

    def draw(self, size_bytes: int) -> bytes:
        return os.urandom(size_bytes)
