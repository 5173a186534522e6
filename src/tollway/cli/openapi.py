"""`tollway openapi`: the admin API's document, without a server."""

import click

from tollway.cli.printing import output_option, written
from tollway.web.admin.app import openapi_document


@click.command(name="openapi")
@output_option("json", "yaml")
def command(output: str) -> None:
    """Print the admin API's OpenAPI 3.1 document."""
    print(written(openapi_document(), output))
