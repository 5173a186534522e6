"""Configuration as code: what a file says against what is there, and back. Above the commands."""
