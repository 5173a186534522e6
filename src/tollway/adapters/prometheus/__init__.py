"""Metrics: counted in plain dicts in each worker, merged and written out by the supervisor."""
