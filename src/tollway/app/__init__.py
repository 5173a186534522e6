"""Use cases over ports: the data plane's phases, the control plane's commands, the jobs."""
