"""Which third-party package each part may import, and what the pure floors may not touch at all.

import-linter holds the direction between our own modules; this holds the edges to the outside.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path("src")

# The longest prefix that matches a module decides; a part that is not named may import nothing.
THIRD_PARTY: dict[str, frozenset[str]] = {
    "tollway": frozenset(),
    "tollway.domain": frozenset(),
    "tollway.dialects": frozenset({"msgspec"}),
    "tollway.app": frozenset({"msgspec"}),
    "tollway.config": frozenset({"msgspec"}),
    "tollway.web": frozenset({"msgspec"}),
    "tollway.web.admin": frozenset({"fastapi", "fastapi_swagger", "pydantic", "starlette"}),
    "tollway.web.gateway": frozenset({"httptools", "msgspec", "uvloop"}),
    "tollway.adapters": frozenset({"msgspec"}),
    "tollway.adapters.http": frozenset({"httptools", "msgspec"}),
    "tollway.adapters.http.assertions": frozenset({"cryptography", "msgspec"}),
    "tollway.adapters.identity": frozenset({"argon2", "cryptography", "joserfc", "msgspec"}),
    "tollway.adapters.prometheus": frozenset({"msgspec", "prometheus_client"}),
    "tollway.adapters.redis": frozenset({"hiredis", "redis"}),
    "tollway.adapters.sql": frozenset({"alembic", "msgspec", "sqlalchemy"}),
    "tollway.adapters.sql.bounded": frozenset({"psycopg"}),
    "tollway.adapters.system": frozenset({"cryptography", "msgspec"}),
    "tollway.wiring": frozenset({"msgspec", "uvloop"}),
    "tollway.wiring.database": frozenset({"sqlalchemy"}),
    "tollway.wiring.admin": frozenset({"fastapi"}),
    "tollway.cli": frozenset({"click", "msgspec", "uvloop", "yaml"}),
    "tollway.cli.admin": frozenset({"uvicorn"}),
}

# Pure floors: no clock, no randomness, no input or output, no concurrency.
IMPURE = frozenset(
    {
        "asyncio", "concurrent", "http", "io", "mmap", "multiprocessing", "os", "pathlib",
        "random", "secrets", "select", "shutil", "signal", "socket", "ssl", "subprocess",
        "tempfile", "threading", "time", "urllib", "uuid",
    }
)  # fmt: skip
PURE = ("tollway.domain", "tollway.dialects")


def module_name(path: Path) -> str:
    """`src/tollway/domain/key.py` is `tollway.domain.key`; a package is its `__init__`."""
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and top-level name of each import, those inside functions included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name.partition(".")[0]
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.lineno, node.module.partition(".")[0]


def allowed_for(module: str) -> frozenset[str]:
    """The third-party packages that a module may import."""
    while module not in THIRD_PARTY:
        module = module.rpartition(".")[0]
        if not module:
            return frozenset()
    return THIRD_PARTY[module]


def complaints_of(module: str, tree: ast.Module) -> Iterator[str]:
    """What one module does that its place forbids."""
    pure = module.startswith(PURE)
    allowed = allowed_for(module)
    for line, name in imported(tree):
        if name == "tollway":
            continue
        if name in sys.stdlib_module_names:
            if pure and name in IMPURE:
                yield f"{module}:{line}: a pure floor may not import {name}"
        elif name not in allowed:
            yield f"{module}:{line}: may not import {name} (allowed: {_names(allowed)})"
    if pure:
        for node in ast.walk(tree):
            if isinstance(node, ast.AsyncFunctionDef | ast.Await):
                yield f"{module}:{node.lineno}: a pure floor awaits nothing"


def _names(names: frozenset[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def main() -> int:
    count = 0
    complaints: list[str] = []
    for path in sorted(SOURCE.rglob("*.py")):
        count += 1
        complaints += complaints_of(module_name(path), ast.parse(path.read_text("utf-8")))
    print(f"third-party imports: {count} modules read, {len(complaints)} wrong")
    for complaint in complaints:
        print(complaint)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
