"""Keys that are not known yet: asked for once, in turns, for everybody who waits."""

import asyncio
from dataclasses import replace

import pytest

from tests.fakes.pipeline import KEY, RECORD, make_bench, snapshot, whole
from tollway.app.gateway import newcomers as module
from tollway.app.gateway.admit import WRONG_KEY
from tollway.app.gateway.listing import find_listed, list_models
from tollway.app.gateway.newcomers import Newcomers
from tollway.domain.refusal import ModelNotFound

BODY = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


class Keeper:
    """Says when it was asked; answers when told to."""

    def __init__(self):
        self.asked = 0
        self.free = asyncio.Event()
        self.free.set()

    async def ask(self):
        self.asked += 1
        await self.free.wait()


@pytest.fixture
def keeper():
    return Keeper()


async def turns():
    for _ in range(5):
        await asyncio.sleep(0)


async def test_without_somebody_to_ask_unknown_stays_unknown():
    """Nothing is waited for."""
    alone = Newcomers()
    assert not alone.may_ask
    await alone.ask_for("key_1", 1.0)


async def test_one_question_serves_all_who_wait_for_it(keeper):
    """Two keys before the turn begins, one question; the same key again within seconds, none."""
    newcomers = Newcomers(keeper.ask)
    await asyncio.gather(newcomers.ask_for("key_1", 1.0), newcomers.ask_for("key_2", 1.0))
    assert keeper.asked == 1
    await newcomers.ask_for("key_1", 2.0)
    assert keeper.asked == 1
    await newcomers.ask_for("key_1", 7.0)
    assert keeper.asked == 2


async def test_who_comes_while_it_is_asked_gets_a_turn_of_their_own(keeper, monkeypatch):
    """The turn under way may have looked before the key was there."""
    monkeypatch.setattr(module, "_ASK_EVERY_S", 0.0)
    newcomers = Newcomers(keeper.ask)
    keeper.free.clear()
    first = asyncio.ensure_future(newcomers.ask_for("key_1", 1.0))
    await turns()
    second = asyncio.ensure_future(newcomers.ask_for("key_2", 1.0))
    await turns()
    assert (keeper.asked, first.done(), second.done()) == (1, False, False)
    keeper.free.set()
    await asyncio.gather(first, second)
    assert keeper.asked == 2


async def test_unknown_keys_make_few_questions_and_lose_no_turn(keeper, monkeypatch):
    """A flood of them is four questions a second; a new key among them waits, and is asked for."""
    monkeypatch.setattr(module, "_ASK_EVERY_S", 0.05)
    newcomers = Newcomers(keeper.ask)
    loop = asyncio.get_running_loop()
    began = loop.time()
    for number in range(6):
        await newcomers.ask_for(f"key_{number}", loop.time())
    assert keeper.asked == 6
    assert loop.time() - began >= 5 * 0.05 * 0.9


async def test_few_wait_at_once(keeper, monkeypatch):
    """Beyond the bound a request is refused at once: waiting costs memory."""
    monkeypatch.setattr(module, "_MAX_WAITING", 2)
    newcomers = Newcomers(keeper.ask)
    keeper.free.clear()
    waiting = [asyncio.ensure_future(newcomers.ask_for(f"key_{n}", 1.0)) for n in range(2)]
    await turns()
    assert not newcomers.may_ask
    await newcomers.ask_for("key_9", 1.0)
    keeper.free.set()
    await asyncio.gather(*waiting)
    assert newcomers.may_ask


async def test_what_was_asked_for_is_forgotten_in_time(keeper, monkeypatch):
    """The memory of keys is bounded."""
    monkeypatch.setattr(module, "_MAX_REMEMBERED", 1)
    monkeypatch.setattr(module, "_ASK_EVERY_S", 0.0)
    newcomers = Newcomers(keeper.ask)
    for number in range(5):
        await newcomers.ask_for(f"key_{number}", 1.0)
    assert len(newcomers._asked) == 1


async def test_a_client_that_leaves_takes_nobody_along(keeper):
    """The others' turn goes on."""
    newcomers = Newcomers(keeper.ask)
    keeper.free.clear()
    leaver = asyncio.ensure_future(newcomers.ask_for("key_1", 1.0))
    stayer = asyncio.ensure_future(newcomers.ask_for("key_2", 1.0))
    await turns()
    leaver.cancel()
    await turns()
    keeper.free.set()
    await stayer
    assert keeper.asked == 1


def with_news(bench, after):
    """The bench's gateway, whose keeper has this configuration when asked for anything."""

    async def ask():
        bench.gateway.source.current = after

    bench.gateway = replace(bench.gateway, newcomers=Newcomers(ask), new_models=Newcomers(ask))
    return bench


async def test_the_first_request_with_a_new_key_is_served():
    """The worker takes over what is new, and goes on as if it had been there."""
    bench = with_news(make_bench(whole(), config=snapshot(keys={})), snapshot())
    client, verdict = await bench.ask(BODY)
    assert (verdict, client.status) == (None, 200)
    listed = with_news(make_bench(config=snapshot(keys={})), snapshot()).gateway
    headers = [(b"authorization", b"Bearer " + KEY.encode())]
    assert [model.name for model in await list_models(listed, headers, "127.0.0.1")] == ["m"]


async def test_a_key_that_stays_unknown_is_refused():
    """Asked for, and not there."""
    bench = with_news(make_bench(config=snapshot(keys={})), snapshot(keys={}))
    _, verdict = await bench.ask(BODY)
    assert verdict is WRONG_KEY


async def test_what_is_no_key_is_not_asked_for(keeper):
    """Nor is one that is there and does not open."""
    bench = make_bench()
    bench.gateway = replace(bench.gateway, newcomers=Newcomers(keeper.ask))
    for text in (b"nonsense", KEY.encode()[:-1]):
        _, verdict = await bench.ask(BODY, headers=[(b"x-api-key", text)])
        assert verdict is WRONG_KEY
    revoked = snapshot(keys={RECORD.id: replace(RECORD, revoked_s=1.0)})
    bench.gateway.source.current = revoked
    _, verdict = await bench.ask(BODY)
    assert verdict is WRONG_KEY
    assert keeper.asked == 0


async def test_the_first_request_for_a_new_model_is_served():
    """Taken over as a new key is; asked for by name, it is found as well."""
    bench = with_news(make_bench(whole(), config=snapshot(models={})), snapshot())
    client, verdict = await bench.ask(BODY)
    assert (verdict, client.status) == (None, 200)
    listed = with_news(make_bench(config=snapshot(models={})), snapshot()).gateway
    headers = [(b"authorization", b"Bearer " + KEY.encode())]
    assert (await find_listed(listed, headers, "127.0.0.1", "m")).name == "m"


async def test_a_model_that_stays_unknown_is_not_found(keeper):
    """Asked for once in a while, whoever repeats the name; one too long for a name, never; and who
    may not call at all learns nothing of models."""
    bench = make_bench()
    bench.gateway = replace(bench.gateway, new_models=Newcomers(keeper.ask))
    for name in ("other", "other", "o" * 201):
        _, verdict = await bench.ask({**BODY, "model": name})
        assert verdict == ModelNotFound(name)
    assert keeper.asked == 1
    headers = [(b"authorization", b"Bearer " + KEY.encode())]
    found = await find_listed(bench.gateway, headers, "127.0.0.1", "other")
    assert found == ModelNotFound("other")
    await bench.ask({**BODY, "model": "third"}, headers=[(b"x-api-key", b"nonsense")])
    assert keeper.asked == 1


async def test_a_key_that_is_revoked_while_its_model_is_asked_for():
    """What is new is heeded whole: the caller has lost its right meanwhile."""
    revoked = {RECORD.id: replace(RECORD, revoked_s=1.0)}
    bench = with_news(make_bench(config=snapshot(models={})), snapshot(keys=revoked))
    _, verdict = await bench.ask(BODY)
    assert verdict is WRONG_KEY
    listed = with_news(make_bench(config=snapshot(models={})), snapshot(keys=revoked)).gateway
    headers = [(b"authorization", b"Bearer " + KEY.encode())]
    assert await find_listed(listed, headers, "127.0.0.1", "m") is WRONG_KEY
