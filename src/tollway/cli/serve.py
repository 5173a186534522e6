"""`tollway serve`: the gateway, until a signal."""

import os
import sys

import click

from tollway.cli.data_dir import prepare_data_dir
from tollway.cli.logs import configure_logs
from tollway.cli.serving import Urls, serve_until_stopped
from tollway.cli.supervisor import StartError
from tollway.config import SettingsError, load_settings


@click.command(name="serve")
@click.option("--workers", type=int, help="Gateway processes (TOLLWAY_WORKERS).")
@click.option("--host", help="Address to listen on (TOLLWAY_HOST).")
@click.option("--port", "gateway_port", type=int, help="Gateway port (TOLLWAY_GATEWAY_PORT).")
@click.option("--data-dir", help="Where everything is kept (TOLLWAY_DATA_DIR).")
def command(
    workers: int | None, host: str | None, gateway_port: int | None, data_dir: str | None
) -> None:
    """Run the gateway: the data plane on 5001, health and metrics on 5002."""
    overrides = {
        "workers": workers,
        "host": host,
        "gateway_port": gateway_port,
        "data_dir": data_dir,
    }
    try:
        settings = load_settings(os.environ, overrides=overrides)
        prepared = prepare_data_dir(settings)
        configure_logs("supervisor", settings.log_level)

        async def announce(urls: Urls) -> None:
            print(f"Gateway   {urls.gateway}/v1")
            print(f"Health    {urls.ops}/readyz   metrics {urls.ops}/metrics")
            print(f"Data      {prepared.settings.data_dir}")
            if prepared.admin_token_path is not None:
                print(f"Admin     token in {prepared.admin_token_path}")
            print("Connect a provider:")
            print(
                "  tollway init --provider openai --api-key-env OPENAI_API_KEY --tenant acme",
                flush=True,
            )

        code = serve_until_stopped(prepared.settings, announce)
    except (SettingsError, StartError) as error:
        print(f"tollway: {error}", file=sys.stderr)
        sys.exit(1)
    sys.exit(code)
