"""Reads: plain structs, no domain decisions."""
