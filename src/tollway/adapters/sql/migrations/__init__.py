"""Alembic's scripts, run by `migrate.py`: expand first, contract one release later, so that the
versions N and N-1 of the program can both serve.
"""
