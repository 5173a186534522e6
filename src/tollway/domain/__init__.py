"""Values and pure decisions. Plain Python: no await, no clock, no random, no third-party import."""
