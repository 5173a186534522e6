"""Real client libraries and the vendors' own suites against the gateway: what `make conformance`
does. Nothing of this runs in `make test`, and no third-party test code is kept in the tree.
"""
