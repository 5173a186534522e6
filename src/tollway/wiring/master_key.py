"""The boxes of secrets that the settings' master keys open."""

from tollway.adapters.system.secrets import AesGcmBox, load_master_key
from tollway.config import Settings, SettingsError


def master_box(settings: Settings) -> AesGcmBox:
    """Seals with `master_key`; opens with it and with `master_key_previous`. Raises SecretError."""
    key = load_master_key(settings.master_key or "")
    if not settings.master_key_previous:
        return AesGcmBox(key)
    return AesGcmBox(key, load_master_key(settings.master_key_previous))


def rotation_boxes(settings: Settings) -> tuple[AesGcmBox, AesGcmBox]:
    """The old key's box and the new one's, of one key each. Raises SettingsError, SecretError."""
    if not settings.master_key_previous:
        raise SettingsError(
            "Set TOLLWAY_MASTER_KEY to the new master key and TOLLWAY_MASTER_KEY_PREVIOUS to the "
            "old one, here and where the gateway runs."
        )
    old, new = settings.master_key_previous, settings.master_key or ""
    return AesGcmBox(load_master_key(old)), AesGcmBox(load_master_key(new))
