"""The composition roots, one per process: the only place that binds adapters to ports. No logic."""
