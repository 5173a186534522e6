"""Ports in this process's memory: the embedded default, and the fakes of the tests."""
