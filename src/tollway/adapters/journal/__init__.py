"""The local append-only journal, its progress file, and how both are read after a crash."""
