"""Tollway: a multi-tenant LLM gateway. Importing this package does nothing."""
