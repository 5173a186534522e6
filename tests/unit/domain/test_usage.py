"""Token classes."""

from tests.fakes.receipts import an_outcome
from tollway.domain.receipt import usage_of
from tollway.domain.usage import NO_USAGE, USAGE_CLASSES, Usage, total_tokens


def test_the_sum_is_of_what_is_known():
    """Not reported adds nothing, and is not 0."""
    assert total_tokens(Usage(input=5, output=7)) == 12
    assert total_tokens(NO_USAGE) == 0
    assert NO_USAGE.input is None
    assert total_tokens(Usage(*[1] * 7)) == len(USAGE_CLASSES) == 7


def test_a_receipt_gives_back_its_classes():
    """The columns of a receipt are the classes, in the same order."""
    counts = dict(zip(USAGE_CLASSES, range(1, 8), strict=True))
    assert usage_of(an_outcome(**counts)) == Usage(**counts)
