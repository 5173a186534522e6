"""One file per revision, named `rNNNN_what.py`; each is frozen once released."""
