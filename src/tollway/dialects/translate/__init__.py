"""Conversations between dialects: `talk.py` is what is carried, `sides.py` who reads and writes."""
