"""Settings from file, environment and overrides."""

import pytest

from tollway.config import SettingsError, as_values, from_values, load_settings


def test_defaults_need_nothing(tmp_path):
    """Without any setting the gateway listens on loopback with embedded storage."""
    settings = load_settings({}, folder=str(tmp_path))
    assert (settings.host, settings.gateway_port, settings.ops_port) == ("127.0.0.1", 5001, 5002)
    assert settings.database_url is None


def test_rank_is_file_environment_override(tmp_path):
    """The environment beats the file, an override beats both."""
    (tmp_path / "tollway.toml").write_text("gateway_port = 1\nworkers = 2\nops_port = 3\n")
    settings = load_settings(
        {"TOLLWAY_WORKERS": "4", "TOLLWAY_OPS_PORT": "5"},
        folder=str(tmp_path),
        overrides={"ops_port": 6, "host": None},
    )
    assert (settings.gateway_port, settings.workers, settings.ops_port) == (1, 4, 6)


def test_lists_are_comma_separated():
    """`TRUSTED_PROXIES` is a list of networks."""
    settings = load_settings({"TOLLWAY_TRUSTED_PROXIES": "10.0.0.0/8, 127.0.0.1/32,"})
    assert settings.trusted_proxies == ("10.0.0.0/8", "127.0.0.1/32")


@pytest.mark.parametrize(
    ("environ", "part"),
    [
        ({"TOLLWAY_GATEWAY_PORT": "abc"}, "TOLLWAY_GATEWAY_PORT"),
        ({"TOLLWAY_GATEWAY_PORT": "70000"}, "TOLLWAY_GATEWAY_PORT"),
        ({"TOLLWAY_WORKERS": "0"}, "TOLLWAY_WORKERS"),
        ({"TOLLWAY_JOURNAL_FSYNC": "maybe"}, "TOLLWAY_JOURNAL_FSYNC"),
        ({"TOLLWAY_MASTER_KEY_FILE": "/nonexistent/key"}, "TOLLWAY_MASTER_KEY_FILE"),
    ],
)
def test_a_wrong_setting_is_named(environ, part):
    """The error names the variable as the user wrote it."""
    with pytest.raises(SettingsError, match=part):
        load_settings(environ)


def test_unknown_and_broken_files_are_errors(tmp_path):
    """A typo in the file is not silently ignored."""
    (tmp_path / "tollway.toml").write_text("gatway_port = 1\n")
    with pytest.raises(SettingsError, match="gatway_port"):
        load_settings({}, folder=str(tmp_path))
    (tmp_path / "tollway.toml").write_text("= 1\n")
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings({}, folder=str(tmp_path))


def test_secrets_come_from_files(tmp_path):
    """`_FILE` names a file whose stripped text is the secret."""
    (tmp_path / "key").write_text("s3cret\n")
    settings = load_settings({"TOLLWAY_MASTER_KEY_FILE": str(tmp_path / "key")})
    assert settings.master_key == "s3cret"
    settings = load_settings({"TOLLWAY_MASTER_KEY_PREVIOUS_FILE": str(tmp_path / "key")})
    assert settings.master_key_previous == "s3cret"


def test_values_travel_to_a_child_unchanged():
    """What the supervisor sends, the child reads as the same settings."""
    settings = load_settings({"TOLLWAY_TRUSTED_PROXIES": "10.0.0.0/8", "TOLLWAY_WORKERS": "3"})
    assert from_values(as_values(settings)) == settings


@pytest.mark.parametrize(
    ("environ", "problem"),
    [
        ({"TOLLWAY_SMTP_URL": "smtps://mail.example"}, "TOLLWAY_SMTP_FROM, or neither"),
        ({"TOLLWAY_SMTP_FROM": "a@b.example"}, "TOLLWAY_SMTP_URL and"),
        (
            {"TOLLWAY_SMTP_URL": "http://u:secret@h", "TOLLWAY_SMTP_FROM": "a@b.example"},
            "TOLLWAY_SMTP_URL: Write",
        ),
        (
            {"TOLLWAY_SMTP_URL": "smtps://mail.example", "TOLLWAY_SMTP_FROM": "nobody"},
            "TOLLWAY_SMTP_FROM: Write",
        ),
    ],
)
def test_a_mail_server_that_cannot_be(environ, problem):
    """What is missing or wrong is named, and the URL is not repeated: it has a password."""
    with pytest.raises(SettingsError, match=problem) as error:
        load_settings(environ)
    assert "secret" not in str(error.value)


def test_the_mail_servers_url_from_a_file(tmp_path):
    """It is a secret like the others."""
    (tmp_path / "url").write_text("smtps://u:p@mail.example\n")
    given = {"TOLLWAY_SMTP_URL_FILE": str(tmp_path / "url"), "TOLLWAY_SMTP_FROM": "t@b.example"}
    assert load_settings(given).smtp_url == "smtps://u:p@mail.example"
