"""Where a tenant's data may go: a target elsewhere is not in the plan."""

from dataclasses import replace

import pytest

from tests.fakes.pipeline import REFUSED, TENANT, Script, make_bench, provider, snapshot, whole
from tollway.domain.ids import ProviderId
from tollway.domain.refusal import Forbidden

BODY = b'{"model": "m", "messages": [{"role": "user", "content": "hi"}]}'
WHERE = {"one": "us", "two": "eu", "three": None}


def config(*allowed):
    """Providers in three places, and a tenant that may use some."""
    found = snapshot(tuple(WHERE))
    return replace(
        found,
        tenants={TENANT.id: replace(TENANT, allowed_residency=allowed or None)},
        providers={
            ProviderId(f"prv_{name}"): provider(name, residency=place)
            for name, place in WHERE.items()
        },
    )


@pytest.mark.parametrize(
    ("allowed", "asked"),
    [
        ((), ["one", "two", "three"]),
        (("eu",), ["two"]),
        (("us", "eu"), ["one", "two"]),
        (("us",), ["one"]),
    ],
)
async def test_only_those_there_are_asked(allowed, asked):
    """All of them, when each fails; none that does not say where it is."""
    down = Script(failure=REFUSED)
    made = make_bench(*[down] * 3, config=config(*allowed))
    await made.ask(BODY)
    assert [call.provider.name for call in made.upstream.calls] == asked


async def test_with_nobody_there_it_is_refused():
    """And nothing is sent, held or written."""
    made = make_bench(whole(), config=config("ch"))
    _, verdict = await made.ask(BODY)
    assert isinstance(verdict, Forbidden)
    assert verdict.code == "residency_not_allowed"
    assert "ch" in verdict.message
    assert made.upstream.calls == []
