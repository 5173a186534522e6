"""The clock, randomness and secrets of this machine."""
