"""The verdict finds every way in which the witnesses can disagree."""

from typing import Any

from tests.fakes.load import Delivered
from tests.fakes.load_wire import Outcome
from tests.fakes.truth import Emitted
from tests.fakes.witnesses import violations


def client(tokens: int, **fields: Any) -> dict[str, Delivered]:
    outcome = Outcome(status=200, tokens=tokens, **fields)
    return {"n1": Delivered("n1", True, 0.0, outcome, 1.0)}


def provider(tokens: int, usage: int | None = None) -> dict[str, list[Emitted]]:
    reported = None if usage is None else {"completion_tokens": usage}
    return {"n1": [Emitted("1.1", 1, "n1", "/", True, 0.0, tokens, reported)]}


def row(output: int, **fields: Any) -> dict[str, Any]:
    return {
        "client_request_id": "n1",
        "request_id": "req_1",
        "attempt": 1,
        "kind": "usage",
        "output": output,
        "reasoning": None,
        "usage_source": "estimated",
        **fields,
    }


def test_agreement_is_silence() -> None:
    """Delivered <= billed <= emitted, one outcome: nothing to say."""
    assert violations(client(3), provider(5), [row(4)]) == []
    assert violations(client(0), {}, [row(0, attempt=0)]) == []
    assert violations(client(0), {}, []) == []
    assert violations({}, provider(5, 5), [row(5, usage_source="provider")]) == []


def test_every_disagreement_is_named() -> None:
    """Each broken promise gives one line."""
    cases: list[tuple[Any, str]] = [
        (violations(client(5), provider(5), [row(4)]), "delivered 5, billed 4"),
        (violations(client(3), provider(5), [row(6)]), "emitted 5"),
        (violations(client(3), provider(5), []), "billed 0"),
        (violations({}, provider(5), []), "0 have rows"),
        (violations({}, {}, [row(1)]), "emitted 0"),
        (violations(client(1), provider(4), [row(2), row(2)]), "two outcomes"),
        (violations(client(1), provider(4), [row(2), row(2, request_id="req_2")]), "request ids"),
        (violations(client(3, ordered=False), provider(5), [row(4)]), "twice"),
        (violations({}, provider(5), [row(1, client_request_id=None)]), "no nonce"),
        (violations({}, provider(5, 5), [row(4, usage_source="provider")]), "reported [5]"),
    ]
    for found, words in cases:
        assert any(words in line for line in found), (found, words)
