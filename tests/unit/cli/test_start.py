"""What a start needs: data directory, sockets, logs."""

import json
import logging
import socket
import sys

import pytest

from tollway.cli.data_dir import prepare_data_dir
from tollway.cli.logs import JsonFormatter
from tollway.cli.sockets import bind_shared, url_of
from tollway.config import SettingsError, load_settings


def test_first_start_makes_private_secrets_and_the_second_keeps_them(tmp_path):
    """Folder 0700, secrets 0600, the same secrets every time."""
    settings = load_settings({"TOLLWAY_DATA_DIR": str(tmp_path / "data")})
    first = prepare_data_dir(settings)
    second = prepare_data_dir(settings)
    assert first.settings.master_key == second.settings.master_key
    assert first.settings.admin_token == second.settings.admin_token
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
    for name in ("master.key", "admin.token"):
        assert (tmp_path / "data" / name).stat().st_mode & 0o777 == 0o600


def test_a_shared_database_needs_a_given_master_key(tmp_path):
    """With PostgreSQL no master key is invented; the message says how to make one."""
    settings = load_settings(
        {"TOLLWAY_DATA_DIR": str(tmp_path), "TOLLWAY_DATABASE_URL": "postgresql://db/x"}
    )
    with pytest.raises(SettingsError, match="token_urlsafe"):
        prepare_data_dir(settings)


def test_an_unusable_folder_says_what_to_do(tmp_path):
    """A file where the folder should be is a clear error."""
    (tmp_path / "data").write_text("")
    settings = load_settings({"TOLLWAY_DATA_DIR": str(tmp_path / "data")})
    with pytest.raises(SettingsError, match="TOLLWAY_DATA_DIR"):
        prepare_data_dir(settings)


def test_a_busy_port_names_its_holder_and_the_setting():
    """The message leads to the program and to the setting."""
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        with pytest.raises(SettingsError, match=r"held by .*TOLLWAY_GATEWAY_PORT"):
            bind_shared("127.0.0.1", port, 2, setting="TOLLWAY_GATEWAY_PORT")


def test_shared_sockets_share_one_port():
    """Each worker has its own queue on the same address."""
    listeners = bind_shared("127.0.0.1", 0, 3, setting="X")
    try:
        assert len({listener.getsockname() for listener in listeners}) == 1
        assert url_of(listeners[0]) == f"http://127.0.0.1:{listeners[0].getsockname()[1]}"
        with socket.create_connection(listeners[0].getsockname()):
            pass
    finally:
        for listener in listeners:
            listener.close()


def test_logs_are_one_redacted_line():
    """Keys and bearer tokens never reach a log, and a newline cannot forge a line."""
    record = logging.LogRecord("x", logging.INFO, "", 0, "Bearer abcdefghijkl\nnext", (), None)
    record.secret = "sk-abcdefghijklmnop"
    try:
        raise ValueError("boom")
    except ValueError:
        record.exc_info = sys.exc_info()
    line = JsonFormatter("test").format(record)
    assert "\n" not in line
    assert "abcdefghijkl" not in line
    assert json.loads(line)["process"] == "test"
    assert "boom" in json.loads(line)["error"]
