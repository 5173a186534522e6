"""A response in the background as its provider has it at one moment."""

import json

import pytest

from tests.unit.dialects.test_kept import NAMED, ours
from tests.unit.dialects.test_stream_responses import USAGE, event, response
from tollway.dialects.background import Made, path_of, read_made
from tollway.dialects.kept import KeptResponsesReader
from tollway.domain.usage import Usage

COUNTED = Usage(10, 20, None, 7, 5)


def made(**fields):
    return read_made(json.dumps({"id": "resp_1", "object": "response", **fields}).encode())


class TestReadMade:
    @pytest.mark.parametrize("status", ["queued", "in_progress"])
    def test_more_will_come(self, status):
        """Until then it has used nothing that counts."""
        assert made(status=status, usage=None) == Made("resp_1", False, None, None)

    @pytest.mark.parametrize("status", ["completed", "incomplete", "cancelled", None, "new"])
    def test_it_has_ended(self, status):
        """With what it has used, if that is told."""
        assert made(status=status, usage=USAGE) == Made("resp_1", True, COUNTED, None)
        assert made(status=status) == Made("resp_1", True, None, None)

    def test_it_has_failed(self):
        """In its provider's words, or in ours."""
        told = made(status="failed", error={"code": "server_error", "message": "Lost."})
        assert told == Made("resp_1", True, None, "Lost.")
        assert made(status="failed", error=None).failed == "The provider has failed."
        assert made(status="completed", error=None).failed is None

    @pytest.mark.parametrize(
        "body", [b"{", b"[]", b"{}", b'{"id":""}', b'{"id":5}', b'{"id":"\xff"}']
    )
    def test_what_is_none(self, body):
        """It has no name that it could be asked for by."""
        assert read_made(body) is None


def test_its_path_is_one_segment():
    """Whatever a provider calls it."""
    assert path_of("resp_1", "/cancel") == "/responses/resp_1/cancel"
    assert path_of("../x?y") == "/responses/..%2Fx%3Fy"


def test_the_first_word_of_a_stream_however_it_is_cut():
    """In the provider's words and in the client's; what comes later changes nothing."""
    begun = {"id": "resp_1", "status": "queued", "output": []}
    stream = event("response.queued", response=begun) + response("completed", USAGE)
    for cut in range(1, len(stream)):
        reader = KeptResponsesReader(NAMED.naming)
        reader.feed(stream[:cut])
        reader.feed(stream[cut:])
        theirs, told = map(json.loads, reader.first)
        assert theirs == begun
        assert told == {**begun, "id": ours("resp_1")}
        assert reader.usage == COUNTED
    assert KeptResponsesReader(NAMED.naming).first is None
