"""The benchmark: the gateway, nginx and Envoy in front of one mock provider, measured in the same
rounds. Run as `python -m bench` (or `make bench`). Linux only: it reads /proc.
"""
