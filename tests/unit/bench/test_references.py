import pytest

from bench.references import envoy, nginx
from bench.subject import AbsentError


@pytest.mark.parametrize("reference", [nginx, envoy])
def test_what_is_not_installed_says_so(reference, tmp_path, monkeypatch):
    """The run goes on without it and counts the notice."""
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    monkeypatch.setattr("importlib.util.find_spec", lambda *_: None)
    with (
        pytest.raises(AbsentError, match="is not installed"),
        reference(tmp_path, provider=1, key="k", core=0),
    ):
        pass
