"""Ok and Err."""

from tollway.domain.result import Err, Ok


def test_a_result_is_one_of_two():
    """They are values: equal by content, told apart by type."""
    assert Ok(5) == Ok(5)
    assert Ok(5) != Err(5)
    match Err("no"):
        case Err(reason):
            assert reason == "no"
