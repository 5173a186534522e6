"""The control plane: what changes configuration, and what reads it."""
