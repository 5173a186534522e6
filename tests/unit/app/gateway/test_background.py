"""Answers in the background through the whole pipeline: they are made whether or not anybody waits,
booked once with what they have used, and left to somebody when a process ends before them.
"""

import asyncio
import json
from dataclasses import replace

import pytest

from tests.fakes.pipeline import REFUSED, RESET, TENANT, FakeClient, Script, streamed
from tests.fakes.quotas import places, quota
from tests.unit.app.gateway.test_kept import (
    ASK,
    RESPONSES,
    UPSTREAM,
    about,
    answer,
    bench,
    configured,
    headers,
)
from tests.unit.dialects.test_stream_responses import USAGE, event, response
from tollway.adapters.disk.answers import DiskAnswers
from tollway.adapters.system.secrets import AesGcmBox
from tollway.app.gateway.exchange import Inbound
from tollway.app.gateway.runtime import GatewayOptions
from tollway.app.gateway.serve import serve
from tollway.app.jobs.follow import Following
from tollway.app.ports_background import Pending
from tollway.domain.failure import Cause, Failure, Phase
from tollway.domain.refusal import BadRequest, QuotaExceeded, Unavailable
from tollway.domain.usage import Usage

BACKGROUND = {**ASK, "background": True}
STREAMED = {**BACKGROUND, "stream": True}
QUEUED = event("response.queued", response={"id": UPSTREAM, "status": "queued", "output": []})
WORD = event("response.output_text.delta", delta="hello")
LAST = response("completed", USAGE, id=UPSTREAM)
OPTIONS = GatewayOptions(background_poll_s=0.001)
DRAINED = Failure(Phase.BODY, Cause.DRAINED, "The gateway is shutting down.")
COUNTED = Usage(10, 20, None, 7, 5)


class Noted:
    """A note that tells what became of it."""

    def __init__(self, pending):
        self.pending = pending
        self.ends = []

    def drop(self):
        self.ends.append("dropped")

    def leave(self):
        self.ends.append("left")

    def found(self, usage):
        self.ends.append(usage)


class MemoryNotes:
    def __init__(self, *left):
        self.made = []
        self.left = list(left)

    def make(self, pending):
        self.made.append(Noted(pending))
        return self.made[-1]

    def take(self, most):
        taken, self.left = self.left[:most], self.left[most:]
        return taken


def a_bench(*scripts, config=None, options=OPTIONS, quotas=None, notes=None):
    made = bench(*scripts, config=config, options=options, quotas=quotas)
    made.notes = MemoryNotes() if notes is None else notes
    made.gateway = replace(made.gateway, notes=made.notes)
    return made


async def ask(made, body=BACKGROUND, client=None, *more):
    return await made.ask(body, endpoint=RESPONSES, headers=headers("owner", *more), client=client)


def state(status, usage=None, **fields):
    """What the provider says of it when it is asked."""
    return answer(status=status, usage=usage, **fields)


def receipt_of(made):
    assert len(made.journal.receipts) == 1, "one outcome"
    return made.journal.receipts[0]


def counted(receipt):
    return Usage(*receipt[20:27])


def look_at(look):
    """Something happens while it is asked for."""
    return Script(pieces=[look, json.dumps({"id": UPSTREAM, "status": "in_progress"}).encode()])


def replace_scripts(made, *scripts):
    made.upstream.scripts.extend(scripts)
    return made


class TestRead:
    async def test_the_first_event_is_the_answer(self):
        """At once, under an id of ours; the rest is read, and booked as counted."""
        seen = []
        client = FakeClient()
        made = a_bench(
            streamed(QUEUED, lambda: seen.append((client.ended, client.body)), WORD, LAST)
        )
        _, verdict = await ask(made, client=client)
        assert verdict is None
        ((ended, body),) = seen
        told = json.loads(body)
        assert (ended, client.status, told["status"]) == ("whole", 200, "queued")
        assert told["id"] != UPSTREAM
        assert client.headers[b"content-type"] == b"application/json"
        receipt = receipt_of(made)
        assert (receipt.payer, receipt.outcome, receipt.status) == ("reported", "finished", 200)
        assert counted(receipt) == COUNTED
        assert made.notes.made[0].ends == ["dropped"]
        assert made.notes.made[0].pending[:5] == (
            receipt.request_id, 1, "prv_one", "crd_one", UPSTREAM,
        )  # fmt: skip
        assert not made.gateway.background
        sent = json.loads(made.upstream.calls[0].body)
        assert (sent["background"], sent["stream"], sent["store"]) == (True, True, True)
        found, _ = await about(replace_scripts(made, state("completed", USAGE)), "get", told["id"])
        assert json.loads(found.body)["status"] == "completed"

    async def test_however_the_stream_is_cut(self):
        """The same answer and the same account at every byte."""
        stream = QUEUED + WORD + LAST
        for cut in range(1, len(stream), 7):
            made = a_bench(streamed(stream[:cut], stream[cut:]))
            client, verdict = await ask(made)
            assert verdict is None
            assert json.loads(client.body)["status"] == "queued"
            assert counted(receipt_of(made)) == COUNTED

    async def test_as_a_stream(self):
        """It passes like every stream of what is kept."""
        made = a_bench(streamed(QUEUED, WORD, LAST))
        client, verdict = await ask(made, STREAMED)
        assert (verdict, client.ended) == (None, "finished")
        assert UPSTREAM.encode() not in client.body
        assert client.body.count(b"event: ") == 3
        assert counted(receipt_of(made)) == COUNTED

    @pytest.mark.parametrize("body", [BACKGROUND, STREAMED])
    @pytest.mark.parametrize("place", [0, 1, 2])
    async def test_a_client_that_leaves_ends_nothing(self, body, place):
        """Whenever it does: the answer is made, and paid for as the provider counts."""
        client, pieces = FakeClient(), [QUEUED, WORD, LAST]
        pieces.insert(place, client.leave)
        made = a_bench(streamed(*pieces))
        _, verdict = await ask(made, body, client)
        assert verdict is None
        assert made.upstream.cancelled is None
        receipt = receipt_of(made)
        assert (receipt.payer, receipt.outcome) == ("reported", "finished")
        assert counted(receipt) == COUNTED

    async def test_a_slow_client_is_waited_for_until_it_leaves(self):
        """The stream stands still for it, and goes on without it."""
        client = FakeClient()

        def congest():
            client.congested = True

        made = a_bench(streamed(congest, QUEUED, client.leave, WORD, LAST))
        await ask(made, STREAMED, client)
        assert (made.upstream.paused, made.upstream.resumed) == (1, 1)
        assert counted(receipt_of(made)) == COUNTED

    async def test_another_target_before_the_first_event_alone(self):
        """Afterwards the provider is at work."""
        config = configured(("one", "gpt"), ("two", "gpt"))
        made = a_bench(Script(failure=REFUSED), streamed(QUEUED, LAST), config=config)
        client, verdict = await ask(made)
        assert verdict is None
        assert json.loads(client.body)["status"] == "queued"
        assert [call.provider.name for call in made.upstream.calls] == ["one", "two"]
        cut = a_bench(streamed(QUEUED, failure=RESET), state("completed", USAGE), config=config)
        await ask(cut)
        assert [call.provider.name for call in cut.upstream.calls] == ["one", "one"]

    async def test_events_before_the_first_word(self):
        """What says nothing of the response is no answer; a stream may begin with it."""
        other = event("response.other", x=1)
        made = a_bench(streamed(other, QUEUED, LAST))
        client, _ = await ask(made)
        assert json.loads(client.body)["status"] == "queued"
        made = a_bench(streamed(other, failure=RESET))
        client, verdict = await ask(made)
        assert (client.status, verdict.cause) == (None, Cause.RESET)
        made = a_bench(streamed(other, WORD, LAST))
        client, _ = await ask(made, STREAMED)
        assert client.ended == "finished"
        assert counted(receipt_of(made)) == COUNTED


class TestWhole:
    async def test_a_provider_that_answers_at_once(self):
        """Its answer is the answer, after its outcome is journalled."""
        made = a_bench(state("completed", USAGE))
        client, verdict = await ask(made)
        assert verdict is None
        assert json.loads(client.body)["status"] == "completed"
        assert UPSTREAM.encode() not in client.body
        assert counted(receipt_of(made)) == COUNTED
        assert not made.notes.made

    async def test_without_usage_it_is_estimated(self):
        """From what stands in it."""
        said = [{"type": "message", "content": [{"type": "output_text", "text": "x" * 400}]}]
        made = a_bench(state("completed", output=said))
        await ask(made, STREAMED)
        receipt = receipt_of(made)
        assert (receipt.payer, receipt.usage_source) == ("estimated", "estimated")
        assert receipt.output >= 100

    async def test_a_provider_that_says_it_will(self):
        """The client has that; it is asked for until it is made."""
        made = a_bench(
            state("queued"), state("in_progress"), Script(status=500), state("completed", USAGE)
        )
        client, verdict = await ask(made)
        assert verdict is None
        assert json.loads(client.body)["status"] == "queued"
        assert [(call.method, call.path) for call in made.upstream.calls[1:]] == [
            ("GET", f"/responses/{UPSTREAM}")
        ] * 3
        receipt = receipt_of(made)
        assert (receipt.payer, receipt.outcome) == ("reported", "finished")
        assert counted(receipt) == COUNTED

    async def test_what_is_no_response(self):
        """A failure like any other; nothing is asked for."""
        made = a_bench(Script(pieces=[b'{"hello": 1}']))
        client, verdict = await ask(made)
        assert verdict.cause is Cause.PROTOCOL
        assert client.status is None
        assert receipt_of(made).payer == "failed"


class TestCut:
    async def test_it_is_asked_for_and_booked_once(self):
        """A stream that breaks is no end of it: the true usage is booked."""
        made = a_bench(streamed(QUEUED, WORD, failure=RESET), state("completed", USAGE))
        await ask(made)
        receipt = receipt_of(made)
        assert (receipt.payer, receipt.outcome, receipt.usage_source) == (
            "reported", "finished", "provider",
        )  # fmt: skip
        assert counted(receipt) == COUNTED
        assert made.notes.made[0].ends == ["dropped"]

    async def test_who_reads_along_is_told(self):
        """One error event and a closed connection; the answer can be read later."""
        made = a_bench(streamed(QUEUED, WORD), state("completed", USAGE))
        client, verdict = await ask(made, STREAMED)
        assert (verdict, client.ended) == (None, "aborted")
        assert client.body.count(b"event: error") == 1
        assert receipt_of(made).payer == "reported"

    async def test_what_cannot_be_heard_is_asked_again(self):
        """A provider that is away, errs, says nothing or too much."""
        options = GatewayOptions(background_poll_s=0.001, reply_bytes=2000)
        made = a_bench(
            streamed(QUEUED, WORD, failure=RESET),
            Script(failure=REFUSED),
            Script(status=404, pieces=[b"{}"]),
            Script(pieces=[b"x" * 1500, b"x" * 1500]),
            Script(pieces=[b"{}"]),
            Script(status=404, pieces=[b"{}"]),
            state("incomplete", USAGE),
            options=options,
        )
        await ask(made)
        assert not made.upstream.scripts
        assert (receipt_of(made).payer, counted(receipt_of(made))) == ("reported", COUNTED)

    async def test_it_has_failed(self):
        """Which ends it; what was counted is booked."""
        failed = event("response.failed", response={"id": UPSTREAM, "status": "failed"})
        told = state("failed", USAGE, error={"code": "server_error", "message": "Lost."})
        made = a_bench(streamed(QUEUED, WORD, failed), told)
        await ask(made)
        receipt = receipt_of(made)
        assert (receipt.payer, receipt.outcome) == ("cut", "broken")
        assert receipt.error == "body:stream_error"
        assert counted(receipt) == COUNTED
        assert made.notes.made[0].ends == ["dropped"]

    async def test_it_was_cancelled(self):
        """By the client, in another request: what was counted, or else what came."""
        made = a_bench(streamed(QUEUED, WORD), state("cancelled"))
        await ask(made)
        receipt = receipt_of(made)
        assert (receipt.payer, receipt.outcome) == ("estimated", "finished")
        assert (receipt.output, receipt.input > 0) == (2, True)

    async def test_it_was_deleted(self):
        """Said twice, it is so; nobody's fault, and estimated."""
        gone = Script(status=404, pieces=[b"{}"])
        made = a_bench(streamed(QUEUED, WORD, failure=RESET), gone, gone)
        await ask(made)
        receipt = receipt_of(made)
        assert (receipt.payer, receipt.usage_source) == ("client_gone", "estimated")
        assert made.notes.made[0].ends == ["dropped"]
        assert not made.gateway.health

    async def test_nothing_is_asked_where_nothing_began(self):
        """Without a first event there is nothing to ask for."""
        made = a_bench(streamed(failure=RESET))
        _, verdict = await ask(made)
        assert verdict.cause is Cause.RESET
        assert len(made.upstream.calls) == 1
        assert not made.notes.made


class TestStopped:
    async def test_a_drain_leaves_it_to_others(self):
        """What is known is booked, and somebody else goes on."""
        made = a_bench(streamed(QUEUED, WORD, lambda: made.gateway.running.stop_all(), LAST))
        await ask(made)
        receipt = receipt_of(made)
        assert (receipt.payer, receipt.usage_source) == ("cut", "estimated")
        assert len(made.upstream.calls) == 1
        assert made.notes.made[0].ends == ["left"]

    async def test_a_drain_while_it_is_asked_for(self):
        """The same."""
        made = a_bench(state("queued"), *[state("in_progress")] * 50)
        made.gateway = replace(made.gateway, options=GatewayOptions(background_poll_s=30.0))
        task = asyncio.create_task(ask(made))
        async with asyncio.timeout(20):
            while len(made.upstream.calls) < 2:
                await asyncio.sleep(0)
        made.gateway.running.stop_all()
        async with asyncio.timeout(20):
            await task
        assert receipt_of(made).payer == "cut"
        assert made.notes.made[0].ends == ["left"]

    @pytest.mark.parametrize("cause", [Cause.REVOKED, Cause.QUOTA])
    async def test_what_ends_here_ends_there(self, cause):
        """The provider is told to stop, and what it counted is booked."""

        def end():
            (relay,) = made.gateway.running._relays
            relay.stop(Failure(Phase.BODY, cause, "No more."))

        made = a_bench(streamed(QUEUED, WORD, end), state("cancelled", USAGE))
        await ask(made)
        call = made.upstream.calls[1]
        assert (call.method, call.path) == ("POST", f"/responses/{UPSTREAM}/cancel")
        receipt = receipt_of(made)
        assert (receipt.payer, receipt.error) == ("cut", f"body:{cause.value}")
        assert counted(receipt) == COUNTED
        assert made.notes.made[0].ends == ["dropped"]

    async def test_one_reason_to_end_it_is_enough(self):
        """While its provider is told, only our leaving cuts that short; others go on then."""

        def end(cause):
            (relay,) = made.gateway.running._relays
            relay.stop(Failure(Phase.BODY, cause, "No more."))

        for again, ends in ((Cause.REVOKED, "dropped"), (Cause.DRAINED, "left")):
            told = Script(pieces=[lambda again=again: end(again), *state("cancelled").pieces])
            made = a_bench(
                streamed(QUEUED, WORD, lambda: end(Cause.REVOKED)),
                told,
                Script(failure=REFUSED),
            )
            await ask(made)
            assert receipt_of(made).error == "body:revoked"
            assert made.notes.made[0].ends == [ends]

    async def test_its_time_is_over(self):
        """Then the provider is to end it. One that does not say how it ended is asked by others."""
        options = GatewayOptions(background_poll_s=0.001, background_timeout_s=0.05)
        running = state("in_progress")
        late = a_bench(*[running] * 3000, options=options)
        async with asyncio.timeout(20):
            await ask(late)
        receipt = receipt_of(late)
        assert (receipt.payer, receipt.error) == ("cut", "body:timeout")
        assert [call.method for call in late.upstream.calls[-2:]] == ["POST", "GET"]
        assert late.notes.made[0].ends == ["left"]


class TestBounds:
    async def test_no_more_than_that_many(self):
        """One more is refused before anything is held."""
        made = a_bench(options=GatewayOptions(background=1))
        made.gateway.background["req_other"] = "ten_other"
        _, verdict = await ask(made)
        assert isinstance(verdict, Unavailable)
        assert (verdict.code, verdict.retry_after_s) == ("background_full", 5.0)
        assert not made.upstream.calls

    @pytest.mark.parametrize(
        ("own", "others", "has_room"),
        [(4, 0, True), (5, 0, False), (0, 9, True), (1, 8, False), (0, 10, False)],
    )
    async def test_no_tenant_takes_all_places(self, own, others, has_room):
        """Each may have as many as are free: one alone has half, and somebody new finds some."""
        script = streamed(QUEUED, WORD, LAST)
        made = a_bench(script, options=GatewayOptions(background=10))
        for number in range(own + others):
            whose = TENANT.id if number < own else "ten_other"
            made.gateway.background[f"req_{number}"] = whose
        _, verdict = await ask(made)
        assert (verdict is None) == has_room

    async def test_what_is_held_stays_until_its_end(self):
        """A limit on what runs at a time counts it while nobody waits for it any more."""
        seen = []

        async def another():
            body = json.dumps(BACKGROUND).encode()
            inbound = Inbound(RESPONSES, headers(), body, "127.0.0.1")
            seen.append((await serve(made.gateway, inbound, FakeClient()))[1])

        def look():
            tasks.append(asyncio.create_task(another()))

        tasks = []
        limit = quota(1, "concurrency", "none")
        made = a_bench(state("queued"), config=configured(quotas=places(limit)))
        running = asyncio.create_task(ask(made))
        made.upstream.scripts.extend([look_at(look), state("completed", USAGE)])
        async with asyncio.timeout(20):
            await running
        await tasks[0]
        assert isinstance(seen[0], QuotaExceeded)
        assert receipt_of(made).payer == "reported"
        made.upstream.scripts.append(streamed(QUEUED, LAST))
        assert (await ask(made))[1] is None

    async def test_refused_where_nothing_is_kept(self):
        """By its name."""
        made = a_bench(config=configured(fields={"translate_responses": True}))
        _, verdict = await ask(made)
        assert isinstance(verdict, BadRequest)
        assert verdict.param == "background"

    async def test_sent_again_it_is_answered_again(self, tmp_path):
        """Under its `Idempotency-Key`, with the same first word; it is made once."""
        made = a_bench(streamed(QUEUED, LAST))
        made.gateway = replace(made.gateway, answers=DiskAnswers(tmp_path, AesGcmBox(bytes(32))))
        named = (b"idempotency-key", b"once")
        first, _ = await ask(made, BACKGROUND, None, named)
        again, verdict = await ask(made, BACKGROUND, None, named)
        assert verdict is None
        assert again.body == first.body
        assert again.headers[b"content-type"] == b"application/json"
        assert len(made.upstream.calls) == 1


def pending(**changes):
    return Pending(
        **{
            "request_id": "req_1",
            "attempt": 1,
            "provider_id": "prv_one",
            "credential_id": "crd_one",
            "name": UPSTREAM,
            "until_s": 1_795_003_600.0,
            **changes,
        }
    )


async def follow(note, *scripts, **options):
    """One look at what is left; then all that comes of it."""
    made = a_bench(*scripts, notes=MemoryNotes(note), **options)
    following = Following(made.gateway, look_s=0.001)
    following.begin()
    async with asyncio.timeout(20):
        while len(following):
            await asyncio.sleep(0.001)
    return made


class TestFollowing:
    async def test_what_was_left_is_found(self):
        """It is asked for until it is made."""
        note = Noted(pending())
        made = await follow(note, state("in_progress"), state("completed", USAGE))
        assert note.ends == [COUNTED]
        assert [call.path for call in made.upstream.calls] == [f"/responses/{UPSTREAM}"] * 2
        assert made.upstream.calls[0].credential.id == "crd_one"
        assert not made.journal.receipts, "it is no request"

    async def test_what_nobody_knows_is_given_up(self):
        """Gone at the provider, or without a count: the estimate stands."""
        gone = Script(status=404, pieces=[b"{}"])
        for scripts in ([gone, gone], [state("cancelled")]):
            note = Noted(pending())
            await follow(note, *scripts)
            assert note.ends == ["dropped"]

    async def test_after_its_time_it_is_ended(self):
        """And a day later it is over for good."""
        note = Noted(pending(until_s=1_794_999_999.0))
        made = await follow(
            note, state("in_progress"), state("in_progress"), state("cancelled", USAGE)
        )
        assert note.ends == [COUNTED]
        assert [call.method for call in made.upstream.calls] == ["POST", "GET", "POST"]
        old = Noted(pending(until_s=1_794_000_000.0))
        made = await follow(old)
        assert old.ends == ["dropped"]
        assert not made.upstream.calls

    async def test_without_credentials_as_it_was_made(self):
        """By whoever needs none."""
        note = Noted(pending(credential_id=None))
        made = await follow(note, state("completed", USAGE), config=configured(credentials=()))
        assert note.ends == [COUNTED]
        assert made.upstream.calls[0].credential is None

    @pytest.mark.parametrize("changes", [{"provider_id": "prv_no"}, {"credential_id": "crd_no"}])
    async def test_whoever_made_it_may_come_back(self, changes):
        """Until then it is kept, and left when the worker leaves."""
        note = Noted(pending(**changes))
        made = a_bench(notes=MemoryNotes(note))
        following = Following(made.gateway, look_s=0.001)
        task = asyncio.create_task(following.run())
        async with asyncio.timeout(20):
            while not len(following):
                await asyncio.sleep(0.001)
        task.cancel()
        async with asyncio.timeout(20):
            while len(following):
                await asyncio.sleep(0.001)
        assert note.ends == ["left"]
        assert not made.upstream.calls
