"""What `doctor` looks at that only adapters can see."""

import os
from pathlib import Path

from tollway.adapters.http.credentials import CredentialError, Secrets
from tollway.adapters.journal.inspection import SlotReport, inspect_journals
from tollway.adapters.sql.snapshot import SqlSnapshotStore
from tollway.adapters.sql.tenancy import RoleFinding, role_findings
from tollway.app.admin.commands.peppers import open_peppers
from tollway.config import Settings
from tollway.domain.provider import ProviderRecord
from tollway.domain.snapshot import SnapshotRows
from tollway.wiring.database import open_database
from tollway.wiring.master_key import master_box


def read_configuration(settings: Settings) -> SnapshotRows:
    """The configuration as it would be published. Raises SettingsError for a wrong schema."""
    engine = open_database(settings, upgrade=False)
    try:
        return SqlSnapshotStore(engine).load()
    finally:
        engine.dispose()


def inspect_roles(settings: Settings) -> list[RoleFinding]:
    """What is wrong with the database's roles. Raises SettingsError, StoreUnavailableError."""
    engine = open_database(settings, upgrade=False)
    try:
        return role_findings(engine)
    finally:
        engine.dispose()


def check_peppers(settings: Settings, rows: SnapshotRows) -> None:
    """Raises SecretError when the master key is not the one the peppers were sealed with."""
    open_peppers(master_box(settings), rows.peppers)


def inspect(settings: Settings) -> list[SlotReport]:
    """The journals of this machine."""
    return inspect_journals(Path(settings.journal_dir))


def unopened(settings: Settings, provider: ProviderRecord) -> str | None:
    """Why a sealed secret of a provider does not open; None when all do. Raises SecretError."""
    secrets = Secrets(master_box(settings))
    for credential in provider.credentials:
        if credential.envelope:
            try:
                secrets.resolve(provider, credential)
            except CredentialError as error:
                return str(error)
    return None


def unresolved(reference: str) -> str | None:
    """Why a credential's reference does not lead to a secret here; None when it does."""
    if reference.startswith("env:") and not os.environ.get(reference[4:]):
        return f"{reference[4:]} is not set in this environment"
    try:
        Secrets().look_up(reference)
    except CredentialError as error:
        return str(error)
    return None
