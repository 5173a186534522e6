"""Which database a process gets, and what it is told when it cannot have one."""

import pytest
from sqlalchemy import text

from tollway.adapters.sql.engine import writing
from tollway.app.ports import StoreUnavailableError
from tollway.config import Settings, SettingsError
from tollway.wiring.database import check_database, find_database, is_shared, open_database

AWAY = "postgresql://nobody@127.0.0.1:1/none"


def settings(tmp_path, **given):
    return Settings(data_dir=str(tmp_path), **given)


def test_the_embedded_database_is_brought_up_to_date(tmp_path):
    """By whoever may; who only looks is told to."""
    with pytest.raises(SettingsError, match="tollway migrate"):
        open_database(settings(tmp_path), upgrade=False)
    open_database(settings(tmp_path), upgrade=True).dispose()
    engine, checked = find_database(settings(tmp_path))
    assert checked
    with writing(engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'r9999'"))
    with pytest.raises(SettingsError, match="r9999"):
        check_database(engine)
    engine.dispose()
    with pytest.raises(SettingsError, match="r9999"):
        find_database(settings(tmp_path))


def test_a_database_that_is_away_may_be_found_later(tmp_path):
    """Who can do without it for a while gets an engine, and the question stays open."""
    away = settings(tmp_path, database_url=AWAY)
    engine, checked = find_database(away)
    assert not checked
    with pytest.raises(StoreUnavailableError):
        check_database(engine)
    with pytest.raises(StoreUnavailableError):
        open_database(away, upgrade=True)
    engine.dispose()


@pytest.mark.parametrize(
    ("url", "shared"), [(None, False), ("sqlite:///x.db", False), (AWAY, True)]
)
def test_what_others_may_use_too(tmp_path, url, shared):
    """Nobody migrates it on the way."""
    assert is_shared(settings(tmp_path, database_url=url)) is shared


@pytest.mark.parametrize("url", ["nonsense", "oracle9://host/x"])
def test_a_url_that_is_none_says_what_one_is(tmp_path, url):
    """With the setting's name."""
    with pytest.raises(SettingsError, match="TOLLWAY_DATABASE_URL is postgresql://"):
        open_database(settings(tmp_path, database_url=url), upgrade=False)
