"""What a name leads to is judged as a whole."""

from tollway.adapters.http.guard import any_forbidden


def test_one_forbidden_address_taints_the_name() -> None:
    """A name that leads to a public and a private address is refused as a whole."""
    assert any_forbidden(["8.8.8.8", "127.0.0.1"])
    assert not any_forbidden(["8.8.8.8", "1.1.1.1"])
