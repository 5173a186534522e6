"""The repositories: rows to views and back. What may be written is decided by the commands."""
