"""Translators between dialects, one file per ordered pair."""
