"""The frame and the codec: every bit is covered, every text is safe, old and new arrays read."""

from typing import Any, NamedTuple

import msgspec
import pytest

from tests.fakes.receipts import an_intent, an_outcome
from tollway.adapters.journal.record import (
    HEAD_BYTES,
    INTENT,
    INTENTS,
    LENGTH_MASK,
    OUTCOME,
    OUTCOMES,
    Codec,
    DamagedRecordError,
    framed,
    intent_record,
    outcome_record,
)
from tollway.adapters.journal.scan import Stop, split
from tollway.domain.receipt import Intent, Receipt


def _read(record: bytes) -> tuple[int, int, Any]:
    frames, used, _ = split(record)
    ((kind, ticket, start, stop, end),) = frames
    assert used == end == len(record)
    codec: Any = INTENTS if kind == INTENT else OUTCOMES
    return kind, ticket, codec.decode(record[start:stop])


def test_an_intent_comes_back_as_it_was() -> None:
    """Kind, ticket and all fields."""
    intent = an_intent(ticket=77, tags=(("team", "söök"), ("env", "")), end_user="u")
    record = intent_record(intent, 1024)
    assert record is not None
    assert _read(record) == (INTENT, 77, intent)
    assert type(_read(record)[2]) is Intent


def test_an_outcome_comes_back_as_it_was() -> None:
    """None stays None and 0 stays 0."""
    receipt = an_outcome(cached_input=0, reasoning=None, tags=(("a", "b"),))
    assert _read(outcome_record(receipt, 2**63, 1024)) == (OUTCOME, 2**63, receipt)


@pytest.mark.parametrize("length", range(17))
def test_records_keep_to_eight_bytes(length: int) -> None:
    """Whatever its length, the next record begins at a multiple of 8."""
    record = framed(OUTCOME, 5, b"x" * length)
    assert len(record) % 8 == 0
    ((_, _, start, stop, _),) = split(record)[0]
    assert record[start:stop] == b"x" * length


def test_any_flipped_bit_is_seen() -> None:
    """Head, ticket, body and padding: no single bit can change unnoticed."""
    record = outcome_record(an_outcome("req_12"), 9, 1024)
    assert len(record) % 8 == 0
    for bit in range(len(record) * 8):
        data = bytearray(record)
        data[bit // 8] ^= 1 << bit % 8
        frames, _, stop = split(bytes(data))
        assert not frames
        assert stop in (Stop.BAD, Stop.MORE)


@pytest.mark.parametrize("text", ["\0", "a\0b", "\ud800", "x\udfffy", "\ud83d\ude00", "\0\ud800"])
@pytest.mark.parametrize("field", ["end_user", "client_request_id", "model", "tags"])
def test_no_text_breaks_a_record(field: str, text: str) -> None:
    """NUL and lone surrogates are replaced; every other field is kept."""
    value = ((text, text),) if field == "tags" else text
    record = intent_record(an_intent(**{field: value}), 1024)
    assert record is not None
    for kept in (
        _read(record)[2],
        _read(outcome_record(an_outcome(**{field: value}), 1, 1024))[2],
    ):
        clean = getattr(kept, field)
        joined = "".join(clean[0]) if field == "tags" else clean
        assert "\0" not in joined
        joined.encode()
        assert "\ufffd" in joined
        assert kept.tenant_id == "ten_1"


def test_the_first_word_of_every_record_holds_nul() -> None:
    """What keeps client text from passing for a record: no text has the byte it would need."""
    for size in (0, 1, 255, 256, 65000):
        assert framed(OUTCOME, 1, b"x" * size)[2] == 0
    assert LENGTH_MASK >> 16 == 0xFF


def test_a_long_intent_loses_text_but_no_id() -> None:
    """Free texts are cut to make an intent fit; who pays never is."""
    tags = tuple((f"name{n}", "v" * 64) for n in range(16))
    intent = an_intent(end_user="u" * 256, client_request_id="c" * 256, tags=tags)
    record = intent_record(intent, 512)
    assert record is not None
    assert len(record) <= 512
    kept = _read(record)[2]
    assert kept.tags == ()
    assert kept._replace(end_user=None, client_request_id=None, model="", target_model="") == (
        an_intent(model="", target_model="")
    )


def test_an_intent_whose_ids_are_too_long_is_refused() -> None:
    """Cutting an id would bill somebody else."""
    assert intent_record(an_intent(tenant_id="t" * 600), 512) is None


def test_a_long_outcome_is_cut_to_its_reserve() -> None:
    """An outcome must fit: the error text gives way, the amounts do not."""
    receipt = an_outcome(error="e" * 10_000, output=2**40)
    record = outcome_record(receipt, 3, 512)
    assert len(record) <= 512
    assert _read(record)[2] == receipt._replace(error="e" * 64)


def test_numbers_no_column_could_hold_are_clamped() -> None:
    """A provider that reports an absurd count cannot make an outcome unwritable."""
    kept = _read(outcome_record(an_outcome(output=10**30, stream=False), 3, 1024))[2]
    assert kept.output == 2**63 - 1
    assert kept.stream is False


class _Old(NamedTuple):
    name: str
    count: int


class _New(NamedTuple):
    name: str
    count: int
    price: int | None = None
    zone: str = "none"


def test_old_arrays_get_defaults_for_new_fields() -> None:
    """Fields appended later are filled with their defaults."""
    codec = Codec(_New, len(_New._fields))
    assert codec.decode(msgspec.msgpack.encode(_Old("a", 3))) == _New("a", 3, None, "none")


def test_new_arrays_can_be_read_by_the_version_before() -> None:
    """After a step back, fields this version does not know are dropped."""
    codec = Codec(_Old, len(_Old._fields))
    assert codec.decode(msgspec.msgpack.encode(_New("a", 3, 5, "z"))) == _Old("a", 3)


@pytest.mark.parametrize("body", [b"", b"\xc1", msgspec.msgpack.encode(["a"]), b"\x01", b"\x93"])
def test_what_is_no_array_of_ours_is_damage(body: bytes) -> None:
    """Never a guess: content that does not fit raises."""
    with pytest.raises(DamagedRecordError):
        Codec(_Old, len(_Old._fields)).decode(body)


def test_fields_keep_their_places() -> None:
    """Records outlive versions: fields may be appended (with a default), never moved."""
    assert Intent._fields[:20] == (
        *("request_id", "attempt", "slot", "ticket", "started_ns", "endpoint", "stream"),
        *("tenant_id", "project_id", "account_id", "key_id", "model", "model_id"),
        *("provider_id", "credential_id", "target_model", "client_request_id", "end_user"),
        *("tags", "input_estimate"),
    )
    assert Receipt._fields[:36] == (
        *("request_id", "attempt", "kind", "seq", "started_ns", "ended_ns", "endpoint", "stream"),
        *("tenant_id", "project_id", "account_id", "key_id", "model", "model_id"),
        *("provider_id", "credential_id", "target_model", "client_request_id", "end_user"),
        *("tags", "input", "cached_input", "cache_write", "output", "reasoning", "audio", "image"),
        *("usage_source", "payer", "cost_nusd", "price_version", "status", "upstream_status"),
        *("outcome", "error", "first_byte_ns"),
    )
    appended = [*Intent._fields[20:], *Receipt._fields[36:]]
    assert set(appended) <= {*Intent._field_defaults, *Receipt._field_defaults}
    assert HEAD_BYTES == 16
