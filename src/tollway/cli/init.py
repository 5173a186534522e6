"""`tollway init`: from a provider's key to a working request in one step. Running it again changes
nothing but what is missing.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import click

from tollway.adapters.control.client import ControlError
from tollway.app.admin.commands.credentials import ensure_credential
from tollway.app.admin.commands.keys import KeySpec, create_key, ensure_key
from tollway.app.admin.commands.models import ModelSpec, ensure_model
from tollway.app.admin.commands.providers import ProviderSpec, ensure_provider
from tollway.app.admin.commands.tenants import TenantSpec, ensure_tenant
from tollway.app.admin.work import Work
from tollway.cli.discovery import DiscoveryError, list_models
from tollway.cli.outcomes import CommandError, ensured, value_of
from tollway.cli.session import Running, desk_for, fail, find_running
from tollway.cli.snippets import curl_snippet, indented, python_snippet
from tollway.domain.brand import COMMAND
from tollway.domain.model import Target
from tollway.domain.provider import DEFAULT_BASE_URLS, ProviderKind
from tollway.wiring.desk import Desk

_DEFAULT_VARIABLES = {ProviderKind.OPENAI: "OPENAI_API_KEY"}
_FAVOURITES = ("gpt-5-mini", "gpt-4o-mini", "gpt-5", "gpt-4o")  # shown in the example, if there


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for on the command line."""

    kind: ProviderKind
    name: str
    base_url: str
    tenant: str
    variable: str | None
    key_file: str | None
    models: tuple[str, ...]
    key_name: str
    new_key: bool


@click.command(name="init")
@click.option(
    "--provider",
    type=click.Choice([ProviderKind.OPENAI.value, ProviderKind.OPENAI_COMPATIBLE.value]),
    default=ProviderKind.OPENAI.value,
    show_default=True,
)
@click.option("--api-key-env", "variable", help="Environment variable with the provider's key.")
@click.option("--api-key-file", "key_file", help="File with the provider's key.")
@click.option("--base-url", help="Where the provider is, such as http://127.0.0.1:11434/v1.")
@click.option("--name", help="What to call the provider. Default: its kind.")
@click.option("--models", help="Model names, separated by commas. Default: ask the provider.")
@click.option("--tenant", default="default", show_default=True, help="Slug of the tenant.")
@click.option("--key-name", default="init", show_default=True, help="What to call the key.")
@click.option("--new-key", is_flag=True, help="Make another key although one of that name exists.")
@click.option("--data-dir", help="Where everything is kept (TOLLWAY_DATA_DIR).")
def command(**given: str | bool | None) -> None:
    """Connect a provider: tenant, provider, models and a key; then print requests to paste.

    The provider's key itself is not stored: Tollway keeps the variable's or the file's name.
    """
    try:
        request = _read(given)
        data_dir = given["data_dir"]
        with desk_for(data_dir if isinstance(data_dir, str) else None) as desk:
            running = find_running(desk.settings)
            reference, secret = _credential(desk, request, running)
            names = request.models or tuple(list_models(request.base_url, secret))
            key = _create(desk, request, reference, names)
            if running is not None:
                running.publish()
    except (CommandError, DiscoveryError, ControlError) as error:
        fail(str(error))
    _print(request, names, key, running)


def _read(given: dict[str, str | bool | None]) -> Request:
    def text(name: str) -> str | None:
        value = given[name]
        return value if isinstance(value, str) and value else None

    kind = ProviderKind(str(given["provider"]))
    base_url = text("base_url") or DEFAULT_BASE_URLS.get(kind)
    if base_url is None:
        raise CommandError("Give --base-url, such as http://127.0.0.1:11434/v1.")
    variable = text("variable")
    if variable is None and text("key_file") is None:
        variable = _DEFAULT_VARIABLES.get(kind)
    models = tuple(name.strip() for name in (text("models") or "").split(",") if name.strip())
    return Request(
        kind,
        text("name") or kind.value,
        base_url.rstrip("/"),
        str(given["tenant"]),
        variable,
        text("key_file"),
        models,
        str(given["key_name"]),
        bool(given["new_key"]),
    )


def _credential(desk: Desk, request: Request, running: Running | None) -> tuple[str, str]:
    """The reference to store and the secret it leads to now; both empty for a provider that needs
    none."""
    if request.key_file is not None:
        path = Path(request.key_file).absolute()
        try:
            return f"file:{path}", path.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise CommandError(f"{path} cannot be read: {error.strerror}") from error
    if request.variable is None:
        return "", ""
    secret = os.environ.get(request.variable, "").strip()
    if running is None or not running.missing_variables([request.variable]):
        if not secret:
            raise CommandError(
                f"{request.variable} is not set here. Set it and run this again: the provider's "
                "models are asked for with it."
            )
        return f"env:{request.variable}", secret
    if not secret:
        raise CommandError(
            f"{request.variable} is set neither here nor where the gateway runs. Set it here and "
            "run this again."
        )
    path = _kept(desk, request.name, secret)
    print(
        f"The running gateway does not have {request.variable}, so the key is kept in {path} "
        "(readable by you only)."
    )
    return f"file:{path}", secret


def _kept(desk: Desk, name: str, secret: str) -> Path:
    folder = Path(desk.settings.data_dir) / "secrets"
    folder.mkdir(mode=0o700, exist_ok=True)
    safe = "".join(sign if sign.isalnum() or sign in "-_" else "_" for sign in name)
    path = (folder / f"{safe}.key").absolute()
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(secret + "\n")
    return path


def _create(desk: Desk, request: Request, reference: str, names: tuple[str, ...]) -> str | None:
    """Everything in one transaction; the text of the key if one was made."""
    with desk.configuration.begin() as uow:
        key = _create_within(desk.work(uow), request, reference, names)
        uow.commit()
    return key


def _create_within(
    work: Work, request: Request, reference: str, names: tuple[str, ...]
) -> str | None:
    tenant = ensured(ensure_tenant(work, TenantSpec(request.tenant)), "tenant")
    spec = ProviderSpec(request.name, request.kind.value, request.base_url)
    provider = ensured(ensure_provider(work, spec), f"provider {request.name}")
    if (provider.kind, provider.base_url) != (request.kind, request.base_url):
        raise CommandError(
            f"There is a provider '{request.name}' at {provider.base_url} already. "
            "Choose another name with --name."
        )
    if reference:
        ensured(ensure_credential(work, provider.id, reference=reference), "credential")
    for name in names:
        target = Target(provider.id, name)
        ensured(ensure_model(work, ModelSpec(name, (target,))), f"model {name}")
    key_spec = KeySpec(request.key_name)
    if request.new_key:
        return value_of(create_key(work, tenant.id, key_spec), "key").text
    return ensured(ensure_key(work, tenant.id, key_spec), "key").text


def _print(
    request: Request, names: tuple[str, ...], key: str | None, running: Running | None
) -> None:
    shown = next((name for name in _FAVOURITES if name in names), names[0])
    print(f"Tenant    {request.tenant}")
    print(f"Provider  {request.name}  {request.base_url}")
    print(f"Models    {len(names)}: {', '.join(names[:5])}{', ...' if len(names) > 5 else ''}")
    if key is None:
        print(f"Key       '{request.key_name}' exists; it is not shown again. Another: --new-key")
        return
    print(f"Key       {key}   (shown once)")
    base_url = "http://127.0.0.1:5001/v1"
    if running is not None:
        base_url = f"{running.gateway_url}/v1"
    else:
        print(f"Start the gateway:  {COMMAND} serve")
    print("\nTry it:\n" + indented(curl_snippet(base_url, key, shown)))
    print("\nPython (pip install openai):\n" + indented(python_snippet(base_url, key, shown)))
