"""Shared counters on virtual time, with every fault there is a name for, from one seed."""
