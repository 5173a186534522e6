"""The local append-only journal of a worker slot, its progress file, and both after a crash."""
