"""The box of secrets that the settings' master keys open."""

from tollway.adapters.system.secrets import AesGcmBox, load_master_key
from tollway.config import Settings


def master_box(settings: Settings) -> AesGcmBox:
    """Seals with `master_key`; opens with it and with `master_key_previous`. Raises SecretError."""
    key = load_master_key(settings.master_key or "")
    if not settings.master_key_previous:
        return AesGcmBox(key)
    return AesGcmBox(key, load_master_key(settings.master_key_previous))
