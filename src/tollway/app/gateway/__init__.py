"""The data plane: `serve.py` calls each phase once, in the order the files' docstrings give."""
