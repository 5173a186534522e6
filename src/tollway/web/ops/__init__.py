"""livez, readyz and metrics."""
