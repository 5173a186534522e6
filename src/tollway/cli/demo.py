"""`tollway demo`: a real small model behind the gateway, with nothing set up before. Keeps its data
in its own folder, makes a new key each start, never touches a key found in the environment unasked.
"""

import os
import socket
import sys
from dataclasses import replace

import click
import msgspec

from tollway.app.admin.commands.accounts import AccountSpec, ensure_account
from tollway.app.admin.commands.credentials import ensure_credential
from tollway.app.admin.commands.keys import KeySpec, create_key, revoke_key
from tollway.app.admin.commands.members import MemberSpec, ensure_member
from tollway.app.admin.commands.models import ModelSpec, ensure_model
from tollway.app.admin.commands.providers import ProviderSpec, ensure_provider, update_provider
from tollway.app.admin.commands.tenants import TenantSpec, ensure_tenant
from tollway.app.admin.work import Work
from tollway.app.ports import SecretError, StoreUnavailableError
from tollway.cli.data_dir import prepare_data_dir
from tollway.cli.discovery import DiscoveryError, list_models
from tollway.cli.logs import configure_logs
from tollway.cli.model_server import ModelProcess, start_model
from tollway.cli.outcomes import CommandError, ensured, value_of
from tollway.cli.serving import Urls, serve_until_stopped
from tollway.cli.session import fail
from tollway.cli.snippets import command_name, curl_snippet, indented, python_snippet
from tollway.cli.supervisor import StartError
from tollway.config import Settings, SettingsError, load_settings
from tollway.domain.account import Role
from tollway.domain.brand import DEMO_DIR, NAME
from tollway.domain.model import Target
from tollway.domain.provider import DEFAULT_BASE_URLS, ProviderKind
from tollway.domain.result import Err
from tollway.wiring.desk import Desk, open_desk

_TENANT, _ACCOUNT, _KEY = "demo", "demo@localhost", "demo"
_OPENAI_VARIABLE = "OPENAI_API_KEY"


@click.command(name="demo")
@click.option("--data-dir", default=f"./{DEMO_DIR}", show_default=True, help="Where to keep data.")
@click.option(
    "--with-env-providers", is_flag=True, help=f"Also use {_OPENAI_VARIABLE}. Calls cost money."
)
def command(data_dir: str, with_env_providers: bool) -> None:
    """Start a gateway with a real small model and a fresh key. Ctrl-C stops it."""
    model: ModelProcess | None = None
    try:
        overrides = {"data_dir": data_dir, "log_level": "warning", "drain_timeout_s": 10.0}
        settings = prepare_data_dir(load_settings(os.environ, overrides=overrides)).settings
        settings = _with_free_ports(settings)
        configure_logs("supervisor", settings.log_level)
        started = start_model()
        reason = started.error if isinstance(started, Err) else None
        model = None if isinstance(started, Err) else started.value
        with open_desk(settings) as desk:
            key, name = _set_up(desk, model, with_env_providers=with_env_providers)

        async def announce(urls: Urls) -> None:
            _print(urls, key, name, reason, data_dir)

        code = serve_until_stopped(settings, announce)
    except (SettingsError, StartError, CommandError, SecretError) as error:
        fail(str(error))
    except StoreUnavailableError as error:
        fail(f"The database cannot be used right now: {error}")
    finally:
        if model is not None:
            model.stop()
    sys.exit(code)


def _with_free_ports(settings: Settings) -> Settings:
    """The usual ports where they are free, any free ones otherwise."""
    return msgspec.structs.replace(
        settings,
        gateway_port=_free(settings.host, settings.gateway_port),
        admin_port=_free(settings.host, settings.admin_port),
        ops_port=_free(settings.host, settings.ops_port),
    )


def _free(host: str, port: int) -> int:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return 0
    return port


def _set_up(desk: Desk, model: ModelProcess | None, *, with_env_providers: bool) -> tuple[str, str]:
    """Tenant, account, provider, model and a new key; earlier keys of the demo are revoked."""
    with desk.configuration.begin() as uow:
        work = desk.work(uow)
        tenant = ensured(ensure_tenant(work, TenantSpec(_TENANT, "Demo")), "tenant")
        account = ensured(ensure_account(work, AccountSpec(_ACCOUNT)), "account")
        member = MemberSpec(_ACCOUNT, Role.TENANT_ADMIN)
        ensured(ensure_member(work, tenant.id, member), "member")
        name = _local(work, model)
        if with_env_providers:
            _environment(work)
        for old in uow.keys.find(tenant.id, _KEY):
            if old.revoked_s is None:
                value_of(revoke_key(work, tenant.id, old.id), "key")
        spec = KeySpec(_KEY, env="demo", account_id=account.id)
        issued = value_of(create_key(work, tenant.id, spec), "key")
        uow.commit()
    assert issued.text is not None, "a key just made has a text"
    return issued.text, name


def _local(work: Work, model: ModelProcess | None) -> str:
    """The model on this machine, or the built-in echo; the name to ask for."""
    if model is None:
        provider = ensured(ensure_provider(work, ProviderSpec("echo", "echo")), "provider")
        target = Target(provider.id, "echo")
        return ensured(ensure_model(work, ModelSpec("echo", (target,))), "model").name
    spec = ProviderSpec("local", ProviderKind.OPENAI_COMPATIBLE.value, model.base_url)
    provider = ensured(ensure_provider(work, spec), "provider")
    # The model listens on another port each time. Its server's streams of Responses lack fields.
    provider = replace(provider, base_url=model.base_url, translate_responses=True)
    value_of(update_provider(work, provider), "provider")
    target = Target(provider.id, model.model)
    return ensured(ensure_model(work, ModelSpec(model.model, (target,))), "model").name


def _environment(work: Work) -> None:
    """The provider whose key stands in the environment."""
    secret = os.environ.get(_OPENAI_VARIABLE, "").strip()
    if not secret:
        print(f"{_OPENAI_VARIABLE} is not set: no provider was added from the environment.")
        return
    print(f"Using {_OPENAI_VARIABLE}: calls to its models cost money.")
    try:
        names = list_models(DEFAULT_BASE_URLS[ProviderKind.OPENAI], secret)
    except DiscoveryError as error:
        print(f"Its models could not be listed: {error}")
        return
    provider = ensured(ensure_provider(work, ProviderSpec("openai", "openai")), "provider")
    reference = f"env:{_OPENAI_VARIABLE}"
    ensured(ensure_credential(work, provider.id, reference=reference), "credential")
    for name in names:
        ensured(ensure_model(work, ModelSpec(name, (Target(provider.id, name),))), "model")


def _print(urls: Urls, key: str, model: str, reason: str | None, data_dir: str) -> None:
    base_url = f"{urls.gateway}/v1"
    if reason is None:
        print(f"{NAME} demo: the model '{model}' (SmolLM2, 135 M parameters) runs on this machine.")
    else:
        print(f"{NAME} demo: the built-in provider 'echo' answers with your own words.")
        print(f"No real model: {reason}.")
    print(f"\n  URL   {base_url}")
    print(f"  Key   {key}")
    print("\nTry it:\n" + indented(curl_snippet(base_url, key, model)))
    print("\nPython (pip install openai):\n" + indented(python_snippet(base_url, key, model)))
    print(f"\nUsage:  {command_name()} usage --data-dir {data_dir}")
    print("Stop:   Ctrl-C", flush=True)
