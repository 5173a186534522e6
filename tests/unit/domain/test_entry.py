"""What may enter the ledger."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.receipts import an_outcome
from tollway.domain.entry import Flaw, cleaned, is_plain

REQUEST_ID = "req_20261118abcdefabcdef00000001"
ANY_TEXT = st.none() | st.text(
    st.characters(categories=["Cs", "Cc", "L", "Zl"]) | st.just("\x00"), max_size=300
)


def test_the_usual_receipt_is_plain():
    """It needs no cleaning, and cleaning would change nothing."""
    usual = an_outcome(REQUEST_ID, tags=(("team", "search"),))
    assert is_plain(usual)
    assert cleaned(usual) == usual


@pytest.mark.parametrize(
    "fields",
    [
        {"end_user": "a\x00"},
        {"model": "\ud800"},
        {"client_request_id": "x" * 300},
        {"error": "two\nlines"},
        {"tags": (("a", "\x00"),)},
        {"tags": tuple((str(number), "v") for number in range(17))},
        {"tags": (("a", "v" * 5000),)},
        {"kind": "correction"},
        {"seq": 1},
    ],
    ids=str,
)
def test_what_might_need_cleaning_is_not_plain(fields):
    """The quick look errs to the side of the thorough one."""
    assert not is_plain(an_outcome(REQUEST_ID)._replace(**fields))


@given(ANY_TEXT, ANY_TEXT, ANY_TEXT)
def test_cleaned_text_can_be_stored_and_cleans_to_itself(model, end_user, error):
    """No surrogate and no NUL is left, and cleaning twice is cleaning once."""
    clean = cleaned(an_outcome(REQUEST_ID, model=model, end_user=end_user, error=error))
    assert not isinstance(clean, Flaw)
    for text in (clean.model, clean.end_user, clean.error):
        assert "\x00" not in (text or "")
        (text or "").encode()
    assert cleaned(clean) == clean


def test_more_tags_than_allowed_are_cut():
    """Sixteen stay."""
    many = tuple((str(number), "v") for number in range(20))
    assert len(cleaned(an_outcome(REQUEST_ID, tags=many)).tags) == 16
