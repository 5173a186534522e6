"""What only shared counters promise: over processes, lost data, lost servers and late answers."""

import asyncio
import logging
import socket
import time
from contextlib import suppress

import pytest

from tests.fakes.certificates import Certificates
from tests.fakes.promptly import within
from tests.fakes.quota_stores import Ledger, opened
from tests.fakes.quotas import NOON_S, actual, hold, quota, rule
from tests.fakes.valkey import Valkey
from tollway.adapters.redis.booking import Booking
from tollway.adapters.redis.lines import end_words, reserve_words
from tollway.adapters.redis.store import PolicyError, RedisOptions, RedisQuotaStore
from tollway.adapters.system.clock import SystemClock
from tollway.domain.hold import Bound, Outage
from tollway.domain.quota import Mode, OnOutage, Precision

KEY = "tw1:{ten_a}:count:ten_a|requests|day|" + str(NOON_S - 43_200)


@pytest.fixture
async def stage():
    """A store on the shared server, with time that is moved."""
    async with opened("redis") as stage:
        yield stage


@pytest.fixture
def valkey():
    """A server of the test's own."""
    own = Valkey()
    yield own
    own.stop()


def real(url, ledger=None, *, owner="host/0", deadline_s=0.1, lease_s=30.0, **more):
    """A store on real time."""
    options = RedisOptions(url, owner, deadline_s=deadline_s, lease_s=lease_s)
    if ledger is None:
        return RedisQuotaStore(options, SystemClock(), **more)
    return RedisQuotaStore(options, SystemClock(), ledger, written=ledger.written, **more)


def now_hold(*rules, **sizes):
    return hold(*rules, at_s=int(time.time()), **sizes)


async def until(reached, timeout_s=10.0):
    deadline = time.monotonic() + timeout_s
    while not reached():
        assert time.monotonic() < deadline, "it did not come to that"
        await asyncio.sleep(0.005)


async def agreed(*stores):
    """On one epoch: a journal that nobody had heard of begins another one."""
    await until(lambda: len({one._registry.epoch for one in stores}) == 1)
    await until(lambda: all(one.reachable for one in stores))


# What stands in the server.


POISON = ["NaN", "inf", "", "text", "-1", "9007199254740993", "1e3", " 5", "9" * 40, "0x10", "5.0"]


@pytest.mark.parametrize("field", ["u:0", "h:0", "f"])
@pytest.mark.parametrize("value", POISON)
async def test_a_damaged_counter_admits_nobody_and_begins_again(stage, caplog, field, value):
    """G-28: whatever is no number from 0 to 2^53 refuses until the ledger was asked."""
    one = rule(quota(10))
    stage.ledger.used[one.quota.id] = 3
    assert await stage.ask_all([hold(one) for _ in range(2)]) == [None, None]
    stage.valkey.run("HSET", KEY, field, value)
    stage.ledger.away = True
    asking = asyncio.create_task(stage.ask(hold(one)))
    await until(lambda: stage.ledger.asked > 1)
    assert not asking.done()
    stage.ledger.away = False
    assert await asking is None
    assert (await stage.ask(hold(one)), stage.store.standing(one)[:2]) == (None, (3, 4))
    assert "damaged" in caplog.text


async def test_a_counter_of_another_kind_begins_again(stage):
    """A key that is no counter at all is not trusted either."""
    one = rule(quota(10))
    stage.ledger.used[one.quota.id] = 9
    assert await stage.ask(hold(one)) is None
    stage.valkey.run("SET", KEY, "0")
    assert isinstance(await stage.ask(hold(one)), Bound)


async def test_an_end_meets_a_damaged_counter(stage):
    """It is not lost: the ledger or the counter has it, not both."""
    one = rule(quota(10))
    asked = hold(one)
    assert await stage.ask(asked) is None
    stage.valkey.run("HSET", KEY, "u:0", "NaN")
    stage.store.settle(asked, actual())
    await stage.quiet()
    stage.ledger.used[one.quota.id] = 1  # the row of what was settled
    assert await stage.ask(hold(one)) is None
    assert stage.store.standing(one)[:2] == (1, 1)


async def test_counters_outlive_their_window_by_a_week(stage):
    """Late ends find them; and nothing stays for ever."""
    assert await stage.ask(hold(rule(quota(1)))) is None
    left_s = int(stage.valkey.run("TTL", KEY).strip()[1:])
    assert left_s == pytest.approx(43_200 + 7 * 86_400, abs=30)
    minute = rule(quota(1, period="minute"))
    assert await stage.ask(hold(minute)) is None
    key = "tw1:{ten_a}:count:ten_a|requests|minute|0"
    assert int(stage.valkey.run("TTL", key).strip()[1:]) > 47 * 3600


async def test_a_minute_keeps_its_buckets_only(stage):
    """Buckets that count no more are gone."""
    one = rule(quota(50, period="minute"))
    for _ in range(30):
        asked = hold(one, at_s=stage.now_s)
        assert await stage.ask(asked) is None
        stage.store.settle(asked, actual())
        stage.pass_s(10)
    await stage.quiet()
    fields = stage.valkey.run("HKEYS", "tw1:{ten_a}:count:ten_a|requests|minute|0")
    assert fields.count(b"u:") <= 8


# Ids and leases.


async def test_a_reserve_that_comes_after_its_void_is_none(stage):
    """The void of an unknown hold leaves a mark."""
    one = rule(quota(1))
    assert await stage.ask(hold(one)) is None
    booked = Booking("other", exact=True).book(hold(one), NOON_S, 0.0)
    (part,) = booked.parts
    registry, scripts = stage.store._registry, stage.store._asking._scripts
    void = [booked.id, "", "V", "other", 0, 0, *end_words(part, None)]
    assert (await registry.call(scripts.settle, part.keys, void))[0] == b"OK"
    late = reserve_words(booked, part, lease_ms=1000, adopt=False)
    assert (await registry.call(scripts.reserve, part.keys, late))[0] == b"DONE"
    assert (await registry.call(scripts.settle, part.keys, void))[0] == b"DONE"
    assert await stage.left(one) == 0


async def test_an_end_that_is_said_again_is_answered_with_what_stands(stage):
    """Sent twice, since no answer came, it counts once."""
    one = rule(quota(10))
    asked = hold(one)
    assert await stage.ask(asked) is None
    booked = asked.bookings
    stage.store.settle(asked, actual())
    stage.store._telling.end(booked, booked.parts[0], actual())
    stage.store._telling.end(booked, booked.parts[0], None)
    await stage.quiet()
    assert await stage.left(one) == 9


async def test_a_lease_that_is_not_renewed_runs_out(stage):
    """Its room is there again; what it had used is booked; its late outcome posts the rest."""
    running, tokens = rule(quota(1, "concurrency", "none")), rule(quota(100, "tokens"))
    asked = hold(running, tokens, tokens=80)
    assert await stage.ask(asked) is None
    asked.bookings.progress = actual(tokens=20)
    await stage.store._leases._renew(float("inf"))
    stage.pass_s(29)
    assert isinstance(await stage.ask(hold(running)), Bound)
    stage.pass_s(1)
    assert await stage.ask(hold(running)) is None
    assert await stage.left(tokens) == 80
    stage.store.settle(asked, actual(tokens=30))
    await stage.quiet()
    assert await stage.left(tokens) == 70


async def test_what_a_lease_that_ran_out_held_is_not_shown(stage):
    """Also while nobody asks, so that nobody has freed it yet; and looking frees nothing."""
    running, tokens = rule(quota(5, "concurrency", "none")), rule(quota(100, "tokens"))
    minute = rule(quota(5, period="minute"))
    asked = hold(running, tokens, minute, tokens=80)
    assert await stage.ask(asked) is None
    asked.bookings.progress = actual(tokens=20)
    await stage.store._leases._renew(float("inf"))
    for passed_s, held in ((29, [1, 80, 1]), (1, [0, 0, 0])):
        stage.pass_s(passed_s)
        for _ in range(2):
            looks = [await stage.store.look(one, stage.now_s) for one in (running, tokens, minute)]
            assert [look[:2] for look in looks] == [(0, one) for one in held]
    assert await stage.ask(hold(running, tokens, tokens=0, at_s=stage.now_s)) is None
    assert (await stage.store.look(tokens, stage.now_s))[:2] == (20, 0)


async def test_a_renewed_lease_goes_on(stage):
    """Also one that had run out while its process stood still."""
    one = rule(quota(1))
    asked = hold(one)
    assert await stage.ask(asked) is None
    for pause_s in (20, 20, 40):
        stage.pass_s(pause_s)
        await stage.store._leases._renew(float("inf"))
        assert isinstance(await stage.ask(hold(one)), Bound)
    stage.store.void(asked)
    await stage.quiet()
    assert await stage.left(one) == 1


async def test_the_servers_time_says_which_window_it_is(stage):
    """A gateway whose clock is behind counts into the window that is."""
    one = rule(quota(1, period="hour"))
    assert await stage.ask(hold(one)) is None
    stage.valkey.run("SET", "test:now", NOON_S + 3700)
    assert await stage.ask(hold(one)) is None
    assert isinstance(await stage.ask(hold(one)), Bound)


async def test_a_strict_rule_is_told_of_by_the_server(stage):
    """What others have taken since is found by the extension, and cuts the next."""
    one = rule(quota(1000, "tokens", precision=Precision.STRICT))
    asked = hold(one, most=500)
    async with opened("redis", valkey=stage.valkey, fresh=False) as other:
        assert await stage.ask(asked) is None
        assert await other.ask(hold(rule(one.quota), most=400)) is None
        assert stage.store.extend(asked, strict=actual(tokens=200)) is None
        await stage.quiet()
        assert isinstance(stage.store.extend(asked, strict=actual(tokens=1)), Bound)


# Seeds.


async def test_however_many_ask_a_counter_is_seeded_once(stage):
    """G-27: what the ledger says, not that many times it."""
    record = quota(100)
    others = [opened("redis", valkey=stage.valkey, fresh=False, slot=n) for n in (1, 2, 3)]
    stages = [stage, *[await other.__aenter__() for other in others]]
    for one in stages:
        one.ledger.used[record.id] = 40
    await agreed(*(one.store for one in stages))
    found = await asyncio.gather(
        *(one.ask_all([hold(rule(record)) for _ in range(30)]) for one in stages)
    )
    assert sum(decisions.count(None) for decisions in found) == 60
    assert sum(one.store.seeded for one in stages) == 1
    for other in others:
        await other.__aexit__(None, None, None)


@pytest.mark.parametrize(("counted", "used"), [(True, 7), (False, 8)])
async def test_what_ends_while_the_ledger_is_asked_counts_once(stage, counted, used):
    """By its place in the journal: what the ledger has counted already is not added."""
    one, other = rule(quota(100)), rule(quota(100, period="hour"))
    asked = hold(one)
    assert await stage.ask(asked) is None
    stage.valkey.run("DEL", KEY)
    stage.ledger.gate = asyncio.Event()
    stage.ledger.used[one.quota.id] = 7
    if counted:
        stage.store.settle(asked, actual())
    asking = asyncio.create_task(stage.ask(hold(one, other)))
    await until(lambda: stage.ledger.asked > 1)
    if not counted:
        stage.store.settle(asked, actual())
        await stage.quiet()
    stage.ledger.gate.set()
    assert await asking is None
    assert stage.store.standing(one).used == used


async def test_while_others_settle_the_ledger_is_asked_again(stage):
    """The last word replaces the first; what ended in between counts once."""
    one = rule(quota(100))
    stage.ledger.settling = True
    stage.ledger.used[one.quota.id] = 10
    asked = hold(one)
    assert await stage.ask(asked) is None
    stage.store.settle(asked, actual())
    await stage.quiet()
    stage.ledger.settling = False
    stage.ledger.used[one.quota.id] = 15  # with what was settled here
    before = stage.ledger.asked
    await until(lambda: stage.ledger.asked > before)
    await until(lambda: not stage.store._seeding._inexact)
    assert await stage.left(one) == 85


async def test_a_guess_that_comes_while_the_ledger_is_asked_is_corrected_unasked(stage):
    """Its row is in the ledger, and counts once, although nobody reserves again."""
    one = rule(quota(1000, "tokens"))
    stage.ledger.settling = True
    dead = hold(one, tokens=400)
    assert await stage.ask(dead) is None
    dead.bookings.progress = actual(tokens=50)
    await stage.store._leases._renew(float("inf"))
    stage.store._leases._live.clear()
    stage.pass_s(31)
    probe = hold(one, at_s=stage.now_s)
    assert await stage.ask(probe) is None
    stage.store.void(probe)
    await stage.quiet()
    assert (await stage.store.look(one, stage.now_s))[:2] == (50, 0)
    stage.ledger.used[one.quota.id] = 60
    stage.ledger.settling = False

    async def stand():
        return (await stage.store.look(one, stage.now_s))[:2]

    await until_async(stand, (60, 0))
    await until(lambda: not stage.store._seeding._inexact)


# The server goes away.


async def test_a_server_that_may_evict_is_refused(valkey):
    """Counters must not vanish under memory pressure: say so at the start."""
    valkey.run("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    with pytest.raises(PolicyError, match="noeviction"):
        await real(valkey.url).start()


async def test_a_connection_that_closes_under_a_call(valkey):
    """What is asked in that moment fails as all else does, and nothing is lost."""
    store, one = real(valkey.url), rule(quota(10))
    assert await store.start()
    asked = now_hold(one)
    assert await store.decided(asked) is None
    store._link._transport.close()
    store.settle(asked, actual())
    assert isinstance(await store.decided(now_hold(one)), Outage)
    await until(lambda: store.reachable and not store.unsaid)
    assert await store.decided(now_hold(one)) is None
    assert store.standing(one)[:2] == (1, 1)
    await store.close()


async def test_over_tcp_with_a_user_and_a_password():
    """What the URL says of the way to the server is done; a wrong password is an outage."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    user = ("--user", "tollway", "on", ">s3cret", "~tw1:*", "+@all", "-@dangerous", "+info")
    own = Valkey("--port", str(port), *user)
    try:
        store = real(f"redis://tollway:s3cret@127.0.0.1:{port}/0")
        assert await store.start()
        one = rule(quota(10))
        assert await store.decided(now_hold(one)) is None
        await store.close()
        locked_out = real(f"redis://tollway:wrong@127.0.0.1:{port}/0")
        assert not await locked_out.start(timeout_s=0.3)
        assert isinstance(await locked_out.decided(now_hold(one)), Outage)
        await locked_out.close()
    finally:
        own.stop()


async def test_over_tls(valkey, tmp_path):
    """`rediss://`, with a private authority; a stranger's certificate is an outage."""
    made = Certificates(tmp_path)

    async def carry(reader, writer):
        inner_reader, inner_writer = await asyncio.open_unix_connection(
            valkey.url.removeprefix("unix://")
        )
        try:
            await asyncio.gather(pipe(reader, inner_writer), pipe(inner_reader, writer))
        finally:
            writer.close()
            inner_writer.close()

    async def pipe(reader, writer):
        with suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
            writer.close()

    server = await asyncio.start_server(carry, "127.0.0.1", 0, ssl=made.server_context())
    port = server.sockets[0].getsockname()[1]
    one = rule(quota(10))
    store = real(f"rediss://localhost:{port}/0?ssl_ca_certs={made.ca_file}")
    assert await store.start()
    assert await store.decided(now_hold(one)) is None
    await store.close()
    stranger = real(f"rediss://localhost:{port}/0")
    assert not await stranger.start(timeout_s=0.3)
    await stranger.close()
    server.close()


async def test_an_answer_that_nobody_asked_for_ends_the_connection(valkey):
    """Whatever it is that answers, it is not believed; the next connection is."""
    store, one = real(valkey.url), rule(quota(10))
    assert await store.start()
    assert await store.decided(now_hold(one)) is None
    transport = store._link._transport
    transport.get_protocol().data_received(b"+OK\r\n")
    await until(lambda: store._link._transport not in (None, transport) and store.reachable)
    assert await store.decided(now_hold(one)) is None
    await store.close()


async def test_scripts_that_were_flushed_are_loaded_again(valkey):
    """Nobody is refused for that."""
    store, one = real(valkey.url), rule(quota(10))
    assert await store.start()
    assert await store.decided(now_hold(one)) is None
    valkey.run("SCRIPT", "FLUSH")
    assert await asyncio.gather(*(store.decided(now_hold(one)) for _ in range(3))) == [None] * 3
    await store.close()


async def test_a_full_server_refuses_and_heals(valkey):
    """OOM is an outage like any other; ends wait and are not lost."""
    store, one = real(valkey.url), rule(quota(10))
    assert await store.start()
    asked = now_hold(one)
    assert await store.decided(asked) is None
    valkey.run("CONFIG", "SET", "maxmemory", 1)
    store.settle(asked, actual())
    assert isinstance(await store.decided(now_hold(one)), Outage)
    valkey.run("CONFIG", "SET", "maxmemory", 0)
    await until(lambda: store.reachable and not store.unsaid)
    assert await store.decided(now_hold(one)) is None
    assert store.standing(one)[:2] == (1, 1)
    await store.close()


async def test_a_frozen_server_holds_up_nobody(valkey):
    """G-07: the deadline, then the breaker: no wait at all; then everything is told."""
    store = real(valkey.url)
    hard = rule(quota(100))
    soft = rule(quota(100, period="hour", on_outage=OnOutage.LOCAL_SHARE))
    assert await store.start()
    ended = now_hold(hard, soft)
    assert await store.decided(ended) is None
    seeded = store.seeded
    with valkey.frozen():
        store.settle(ended, actual())
        with within(0.2):
            lost = await asyncio.gather(*(store.decided(now_hold(hard)) for _ in range(50)))
        assert all(isinstance(one, Outage) for one in lost)
        await until(lambda: not store.reachable, 2)
        with within(0.05):
            for _ in range(100):
                assert isinstance(await store.decided(now_hold(hard, soft)), Outage)
        shared = [now_hold(soft) for _ in range(30)]
        decisions = [await store.decided(one) for one in shared]
        assert decisions.count(None) == 10
        for one, decision in zip(shared, decisions, strict=True):
            if decision is None:
                store.settle(one, actual())
        assert await store.decided(now_hold(rule(quota(0, mode=Mode.SHADOW)))) is None
    await until(lambda: store.reachable and not store.unsaid)
    assert await store.decided(now_hold(hard, soft)) is None
    assert store.standing(hard)[:2] == (1, 1)
    assert store.standing(soft)[:2] == (11, 1)
    assert store.seeded == seeded  # it has what it had: nobody refills it
    await store.close()


async def test_a_long_turn_of_the_loop_is_not_an_outage(valkey):
    """The answer lies in the socket while the timer is late: it is read before anyone gives up."""
    store, one = real(valkey.url), rule(quota(10))
    assert await store.start()
    assert await store.decided(now_hold(one)) is None
    for _ in range(3):
        asking = asyncio.create_task(store.decided(now_hold(one)))
        for _ in range(4):
            await asyncio.sleep(0)  # it is sent
        time.sleep(0.25)
        assert await asking is None
    assert store.reachable
    await store.close()


async def test_a_store_without_a_server_says_so(tmp_path):
    """It starts, refuses, and serves as soon as the server is there."""
    store = real(f"unix://{tmp_path}/none")
    assert not await store.start(timeout_s=0.1)
    assert isinstance(await store.decided(now_hold(rule(quota(1)))), Outage)
    await store.close()


async def test_lost_data_is_seeded_once_and_nobody_gets_in_twice(valkey):
    """G-04: killed and empty again: used by the ledger, held by the live holds of every gateway."""
    record = quota(20)
    ledgers = [Ledger(), Ledger()]
    stores = [real(valkey.url, ledger, owner=f"host/{n}") for n, ledger in enumerate(ledgers)]
    for store in stores:
        assert await store.start()
    live = []
    for store in stores:
        for _ in range(5):
            asked = now_hold(rule(record))
            assert await store.decided(asked) is None
            live.append((store, asked))
    for store, asked in (live[0], live[9]):
        store.settle(asked, actual())
    await until(lambda: not any(store.unsaid for store in stores))
    await asyncio.sleep(1.1)  # they have heard of each other
    valkey.kill()
    await until(lambda: not any(store.reachable for store in stores))
    for ledger in ledgers:
        ledger.used[record.id] = 2
    seeded = sum(store.seeded for store in stores)
    valkey.start()
    await until(lambda: all(store.reachable for store in stores))
    found = await asyncio.gather(
        *(store.decided(now_hold(rule(record))) for store in stores for _ in range(20))
    )
    assert found.count(None) == 10
    assert sum(store.seeded for store in stores) == seeded + 1
    for store, asked in live[1:9]:
        store.settle(asked, actual())
    await until(lambda: not any(store.unsaid for store in stores))
    bound = await stores[0].decided(now_hold(rule(record)))
    assert (bound.used, bound.held) == (10, 10)
    for store in stores:
        await store.close()


@pytest.mark.slow
@pytest.mark.parametrize("ends", ["it comes back", "its journal is closed", "it is given up"])
async def test_strict_limits_wait_for_who_is_away(valkey, ends):
    """Data is lost, and one of two gateways does not come back: what it may hold nobody else gets.
    Bounded limits wait a lease and no longer."""
    strict = rule(quota(10, precision=Precision.STRICT))
    bounded = rule(quota(10, metric="tokens"))
    ledger = Ledger()
    away = real(valkey.url, Ledger(), owner="host/1", lease_s=0.5)
    stays = real(valkey.url, ledger, owner="host/0", lease_s=0.5)
    for store in (away, stays):
        assert await store.start()
    for _ in range(10):
        assert await away.decided(now_hold(strict)) is None
    await asyncio.sleep(1.1)  # they have heard of each other
    for duty in away._duties:
        duty.cancel()
    await asyncio.gather(*away._duties, return_exceptions=True)
    valkey.kill()
    await until(lambda: not stays.reachable)
    valkey.start()
    await until(lambda: stays.absent)
    await asyncio.sleep(1.1)  # however long
    assert isinstance(await stays.decided(now_hold(strict)), Outage)
    assert await stays.decided(now_hold(bounded)) is None
    back = None
    if ends == "it comes back":
        back = real(valkey.url, Ledger(), owner="host/1")
        assert await back.start()
    elif ends == "its journal is closed":
        ledger.closed = ["host/1"]
    else:
        assert await stays.reopen()
    await until(lambda: not stays.absent)
    assert await stays.decided(now_hold(strict)) is None
    for store in filter(None, (stays, back)):
        await store.close()


async def test_everything_flushed_under_load_lets_in_no_more(valkey, caplog):
    """The ledger has what was used, and the gateways have what they hold."""
    caplog.set_level(logging.INFO)
    record, running = quota(300), rule(quota(8, "concurrency", "none"))
    ledger = Ledger()
    store = real(valkey.url, ledger)
    assert await store.start()
    inside, most, served = 0, 0, 0

    async def client():
        nonlocal inside, most, served
        one = rule(record)
        for _ in range(40):
            asked = now_hold(one, running)
            if await store.decided(asked) is not None:
                await asyncio.sleep(0.002)
                continue
            inside, served = inside + 1, served + 1
            most = max(most, inside)
            await asyncio.sleep(0.003)
            inside -= 1
            ledger.used[record.id] = ledger.used.get(record.id, 0) + 1
            store.settle(asked, actual())

    async def flush():
        for _ in range(4):
            await asyncio.sleep(0.1)
            valkey.run("FLUSHALL")

    await asyncio.gather(flush(), *(client() for _ in range(20)))
    await until(lambda: store.reachable and not store.unsaid)
    assert 8 <= served <= 300
    assert most <= 8
    asked = now_hold(rule(record))
    decision = await store.decided(asked)
    stand = decision or store.standing(asked.rules.rules[0])
    used = stand.used
    assert used == served
    await store.close()


async def test_a_gateway_that_waits_no_more_leaves_nothing_held(stage):
    """A request whose client leaves while it is decided is taken back."""
    one = rule(quota(1))
    asking = asyncio.create_task(stage.store.decided(hold(one)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    await stage.quiet()
    assert await stage.left(one) == 1


# A process dies with requests under way.


@pytest.mark.slow
async def test_what_a_dead_process_had_used_is_a_guess_until_its_journal_is_in_the_ledger(valkey):
    """Its holds run out with what is known of them; its successor's journal says the rest."""
    record = quota(1000, "tokens")
    dead, other = Ledger(), Ledger()
    stores = [real(valkey.url, dead, owner="host/0", lease_s=1.0)]
    stores.append(real(valkey.url, other, owner="host/1", lease_s=1.0))
    for store in stores:
        assert await store.start()
    await agreed(*stores)
    asked = now_hold(rule(record), tokens=400)
    assert await stores[0].decided(asked) is None
    asked.bookings.progress = actual(tokens=50)
    await stores[0]._leases._renew(float("inf"))
    for duty in stores[0]._duties:  # it dies
        duty.cancel()
    await asyncio.gather(*stores[0]._duties, return_exceptions=True)

    async def stand():
        one = rule(record)
        probe = now_hold(one, tokens=0)
        assert await stores[1].decided(probe) is None
        stores[1].void(probe)
        return stores[1].standing(one)[:2]

    await until_async(stand, (50, 0))
    await asyncio.sleep(2.5)
    assert await stand() == (50, 0)  # the ledger does not know more yet
    other.others = [("host/0", 5, 5)]
    other.used[record.id] = 120
    heir = Ledger()
    heir.places = iter(range(100))
    successor = real(valkey.url, heir, owner="host/0", lease_s=1.0)
    assert await successor.start()
    await asyncio.sleep(2.5)
    assert await stand() in {(50, 0), (170, 0)}  # not so far: never less than the guess
    other.others = [("host/0", 0, 1000)]
    await until_async(stand, (120, 0))
    fields = valkey.run("HKEYS", *valkey.run("KEYS", "*count*").split()[1:])
    assert b"d:" not in fields
    for store in (stores[1], successor):
        await store.close()


class Untold:
    """`Untold` in memory, for one process after the other."""

    def __init__(self):
        self.marked = self.inherited = self.full = False

    def settle(self):
        self.inherited = False

    def mark(self):
        self.marked = not self.full
        return self.marked

    def clear(self):
        self.marked = self.inherited


async def dies(store):
    for duty in store._duties:
        duty.cancel()
    await asyncio.gather(*store._duties, return_exceptions=True)


@pytest.mark.slow
async def test_what_a_dead_process_gave_out_as_its_share_is_counted(valkey):
    """It never told the server, and no lease of it runs out: the counters begin again from the
    ledger when its successor comes, once; then there is nothing on record any more."""
    record, untold = quota(100, on_outage=OnOutage.LOCAL_SHARE), Untold()
    first, other = Ledger(), Ledger()
    stores = [real(valkey.url, first, owner="host/0", untold=untold)]
    stores.append(real(valkey.url, other, owner="host/1"))
    for store in stores:
        assert await store.start()
    await agreed(*stores)
    assert await stores[0].decided(now_hold(rule(record))) is None
    assert not untold.marked
    with valkey.frozen():
        shares = [now_hold(rule(record)) for _ in range(3)]
        assert [await stores[0].decided(one) for one in shares] == [None] * 3
        assert untold.marked
        for one in shares:
            stores[0].settle(one, actual())
        await dies(stores[0])
    epoch = stores[1]._registry.epoch
    untold.inherited = True
    heir, other.used[record.id] = Ledger(), 4
    heir.used[record.id] = 4  # with the one that was under way
    successor = real(valkey.url, heir, owner="host/0", untold=untold)
    assert await successor.start()
    await until(lambda: not untold.marked and not untold.inherited, 10)
    await until(lambda: stores[1].reachable and stores[1]._registry.epoch != epoch, 10)

    async def stand():
        one = rule(record)
        probe = now_hold(one)
        assert await stores[1].decided(probe) is None
        stores[1].void(probe)
        return stores[1].standing(one)[0]

    await until_async(stand, 4)
    last = successor._registry.epoch
    await asyncio.sleep(1.5)
    assert successor._registry.epoch == last
    for store in (stores[1], successor):
        await store.close()


async def test_a_share_that_cannot_be_put_on_record_is_not_given_out(valkey):
    """A full disk: then the server's word is needed."""
    untold = Untold()
    untold.full = True
    store = real(valkey.url, untold=untold)
    assert await store.start()
    with valkey.frozen():
        soft = now_hold(rule(quota(100, on_outage=OnOutage.LOCAL_SHARE)))
        assert isinstance(await store.decided(soft), Outage)
        untold.full = False
        assert await store.decided(soft) is None
        assert untold.marked
        store.void(soft)
    await until(lambda: store.reachable)
    await until(lambda: not untold.marked)
    await store.close()


async def until_async(read, wanted, timeout_s=10.0):
    deadline = time.monotonic() + timeout_s
    while (found := await read()) != wanted:
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.05)
