"""The check of imports from outside the package."""

import ast
from pathlib import Path

from tools.check_imports import allowed_for, complaints_of, module_name


def complaints(module: str, source: str) -> list[str]:
    return list(complaints_of(module, ast.parse(source)))


def test_the_domain_may_import_nothing_but_pure_standard_library() -> None:
    """A third-party import, a clock or an await in the domain is seen, also inside a function."""
    assert complaints("tollway.domain.key", "import hmac\nfrom tollway.domain import ids") == []
    assert len(complaints("tollway.domain.key", "import msgspec")) == 1
    assert len(complaints("tollway.domain.key", "def f():\n    import time")) == 1
    assert len(complaints("tollway.domain.key", "async def f(): ...")) == 1


def test_dialects_may_use_msgspec_and_nothing_that_does_io() -> None:
    """Wire formats decode JSON, they open no socket."""
    assert complaints("tollway.dialects.sse", "import msgspec") == []
    assert len(complaints("tollway.dialects.sse", "import socket")) == 1


def test_sqlalchemy_stays_in_its_adapter() -> None:
    """Only adapters/sql may import the SQL library."""
    assert complaints("tollway.adapters.sql.tables", "import sqlalchemy") == []
    assert len(complaints("tollway.wiring.keeper", "from sqlalchemy import select")) == 1


def test_the_longest_named_prefix_decides() -> None:
    """A sub-package has its own list; an unnamed one inherits."""
    assert "click" in allowed_for("tollway.cli.serve")
    assert allowed_for("tollway.web.ops.server") == {"msgspec"}


def test_a_package_is_named_without_its_init() -> None:
    """`__init__.py` stands for its package."""
    assert module_name(Path("src/tollway/domain/__init__.py")) == "tollway.domain"
    assert module_name(Path("src/tollway/domain/key.py")) == "tollway.domain.key"
