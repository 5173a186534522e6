"""What a worker process loads before it can serve."""

import subprocess
import sys

HEAVY = {
    *("alembic", "argon2", "click", "fastapi", "joserfc", "prometheus_client", "psycopg"),
    *("pydantic", "sqlalchemy", "starlette", "uvicorn", "yaml"),
}
SCRIPT = "import sys, tollway.cli.worker; print(*sorted({n.split('.')[0] for n in sys.modules}))"


def test_a_worker_starts_without_the_heavy_packages() -> None:
    """Neither SQL nor the command line nor the metrics library is loaded, directly or not."""
    run = subprocess.run([sys.executable, "-c", SCRIPT], check=True, capture_output=True, text=True)
    loaded = set(run.stdout.split())
    assert "tollway" in loaded
    assert not loaded & HEAVY
