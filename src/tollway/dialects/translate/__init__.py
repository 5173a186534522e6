"""Conversations between dialects: see `talk.py` for what is carried, `sides.py` for who reads and writes."""
