"""`tollway serve`: the gateway, until a signal."""

import os
import sys

import click

from tollway.cli.data_dir import Prepared, prepare_data_dir
from tollway.cli.logs import configure_logs
from tollway.cli.serving import Urls, serve_until_stopped
from tollway.cli.supervisor import StartError
from tollway.config import SettingsError, load_settings


@click.command(name="serve")
@click.option("--workers", type=int, help="Gateway processes (TOLLWAY_WORKERS).")
@click.option("--host", help="Address to listen on (TOLLWAY_HOST).")
@click.option("--port", "gateway_port", type=int, help="Gateway port (TOLLWAY_GATEWAY_PORT).")
@click.option("--admin-port", type=int, help="Admin API's port (TOLLWAY_ADMIN_PORT).")
@click.option("--role", help="Run a part: gateway or admin (TOLLWAY_ROLE).")
@click.option("--data-dir", help="Where everything is kept (TOLLWAY_DATA_DIR).")
def command(**overrides: str | int | None) -> None:
    """Run everything: the data plane on 5001, the admin API on 5000, health and metrics on 5002."""

    def read() -> Prepared:
        return prepare_data_dir(load_settings(os.environ, overrides=overrides))

    try:
        prepared = read()
        configure_logs("supervisor", prepared.settings.log_level)

        async def announce(urls: Urls) -> None:
            if urls.gateway:
                print(f"Gateway   {urls.gateway}/v1")
            if urls.admin:
                print(f"Admin     {urls.admin}/api/v1   docs {urls.admin}/api/docs")
            print(f"Health    {urls.ops}/readyz   metrics {urls.ops}/metrics")
            print(f"Data      {prepared.settings.data_dir}")
            if prepared.admin_token_path is not None:
                print(f"Token     for the admin API: {prepared.admin_token_path}")
            print("Connect a provider:")
            print(
                "  tollway init --provider openai --api-key-env OPENAI_API_KEY --tenant acme",
                flush=True,
            )

        code = serve_until_stopped(prepared.settings, announce, lambda: read().settings)
    except (SettingsError, StartError) as error:
        print(f"tollway: {error}", file=sys.stderr)
        sys.exit(1)
    sys.exit(code)
