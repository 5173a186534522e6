"""Counters in Redis or Valkey, shared by all gateways. Needs the extra `redis`."""
