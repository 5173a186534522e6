"""Wire formats, bytes to values and back. No I/O."""
