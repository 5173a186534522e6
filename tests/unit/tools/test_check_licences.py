"""The licence check."""

from tools.check_licences import judge


def test_permissive_licences_pass_when_noticed() -> None:
    """Allowed and named in NOTICE: nothing to say."""
    assert judge("a", "MIT", {"a"}) is None
    assert judge("a", "Apache Software License; MIT License", {"a"}) is None


def test_other_licences_and_unnamed_packages_are_refused() -> None:
    """Copyleft, unknown, or missing from NOTICE: a person decides."""
    assert judge("a", "GPL-3.0-only", {"a"}) is not None
    assert judge("a", "", {"a"}) is not None
    assert judge("a", "MIT", set()) is not None
