"""Checks of the tree and the making of locks. Nothing here is part of the package."""
