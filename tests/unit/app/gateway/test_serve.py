"""Playbooks: a request in, what the provider was asked, what the client got, what was billed."""

import json

import pytest

from tests.fakes.pipeline import (
    DONE,
    KEY,
    RECORD,
    REFUSED,
    RESET,
    SECRET,
    TENANT,
    FakeClient,
    Script,
    chunk,
    make_bench,
    provider,
    reply,
    snapshot,
    streamed,
    whole,
)
from tollway.adapters.memory.journal import MemoryJournal
from tollway.app.gateway.runtime import GatewayOptions
from tollway.domain.failure import Cause, Failure, Phase
from tollway.domain.provider import StreamUsage
from tollway.domain.refusal import (
    BadRequest,
    Forbidden,
    ModelNotFound,
    Unauthenticated,
    Unavailable,
)

ASK = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
STREAM = {**ASK, "stream": True}


def _key(**changes):
    from dataclasses import replace

    return snapshot(keys={RECORD.id: replace(RECORD, **changes)})


class TestWholeAnswers:
    """Non-streamed requests."""

    async def test_the_answer_is_the_providers_bytes(self):
        """The body passes unchanged; the target's model and unknown fields go up; usage bills."""
        bench = make_bench(whole())
        body = b'{"model":"m", "messages":[], "new_field": {"a": [1, 2.50]}}'
        client, verdict = await bench.ask(body)
        assert verdict is None
        assert (client.status, client.body) == (200, reply())
        (call,) = bench.upstream.calls
        sent = json.loads(call.body)
        assert sent["model"] == "one-model"
        assert b'{"a": [1, 2.50]}' in call.body
        (receipt,) = bench.journal.receipts
        assert (receipt.input, receipt.output, receipt.payer) == (5, 2, "reported")
        assert (receipt.outcome, receipt.status, receipt.usage_source) == (
            "finished",
            200,
            "provider",
        )
        assert client.headers[b"x-request-id"].decode() == receipt.request_id

    async def test_the_outcome_is_journalled_before_the_client_sees_a_byte(self):
        """A kill after the client's first byte always finds the outcome."""
        bench = make_bench(whole())
        client = FakeClient()
        client.respond = lambda *_: seen.append(len(bench.journal.receipts))
        seen = []
        await bench.ask(ASK, client=client)
        assert seen == [1]

    async def test_without_usage_the_row_says_estimated(self):
        """No usage from the provider: an estimate, marked."""
        bench = make_bench(whole(reply("four words of text", usage=None)))
        await bench.ask(ASK)
        (receipt,) = bench.journal.receipts
        assert (receipt.payer, receipt.usage_source) == ("estimated", "estimated")
        assert receipt.input > 0
        assert receipt.output >= 4

    @pytest.mark.parametrize(
        ("status", "seen"), [(400, 400), (401, 502), (404, 404), (429, 429), (500, 500), (302, 502)]
    )
    async def test_a_providers_no_is_passed_on_and_bills_nothing(self, status, seen):
        """Its own 401 is about our credential and must not look like the client's."""
        body = b'{"error":{"message":"because","code":"why"}}'
        bench = make_bench(Script(status=status, pieces=[body]))
        client, verdict = await bench.ask(ASK)
        assert isinstance(verdict, Failure)
        assert (verdict.cause, verdict.status, verdict.message) == (Cause.STATUS, status, "because")
        assert client.status is None
        (receipt,) = bench.journal.receipts
        assert (receipt.status, receipt.upstream_status) == (seen, status)
        assert (receipt.input, receipt.output, receipt.payer) == (0, 0, "failed")

    @pytest.mark.parametrize("body", [b"<html>hello</html>", b"", b"[1]", b'{"a":'])
    async def test_a_200_that_is_no_answer_is_a_502(self, body):
        """HTML, nothing or broken JSON never reaches the client as a success."""
        bench = make_bench(Script(pieces=[body]))
        client, verdict = await bench.ask(ASK)
        assert (verdict.cause, client.status) == (Cause.PROTOCOL, None)
        assert bench.journal.receipts[0].payer == "failed"

    async def test_an_answer_above_the_cap_is_cut_off(self):
        """Memory stays bounded whatever a provider sends."""
        bench = make_bench(
            Script(pieces=[b"x" * 600, b"x" * 600, b"never read"]),
            options=GatewayOptions(reply_bytes=1000),
        )
        _, verdict = await bench.ask(ASK)
        assert verdict.cause is Cause.PROTOCOL
        assert bench.upstream.cancelled is not None

    async def test_a_client_that_leaves_cancels_the_provider(self):
        """Nothing reached anyone, nothing is billed; the upstream call ends at once."""
        client = FakeClient()
        bench = make_bench(Script(pieces=[client.leave, b"late"]))
        _, verdict = await bench.ask(ASK, client=client)
        assert verdict.cause is Cause.CLIENT_GONE
        (receipt,) = bench.journal.receipts
        assert (receipt.outcome, receipt.status, receipt.output) == ("client_gone", 499, 0)

    async def test_a_client_gone_before_the_attempt_costs_no_call(self):
        """No intent, no call, but the request is counted."""
        client = FakeClient()
        client.gone = True
        bench = make_bench()
        await bench.ask(ASK, client=client)
        assert bench.upstream.calls == []
        assert bench.recorder.receipts[0].outcome == "client_gone"


class TestStreams:
    """Streamed requests."""

    async def test_events_pass_unchanged_and_usage_is_taken_out(self):
        """The usage chunk that only we asked for is read and dropped; all other bytes stay."""
        first, second, last = chunk("Hel"), chunk("lo"), chunk(finish="stop")
        usage = chunk(choices=[], usage=(5, 2))
        bench = make_bench(streamed(first + second, last + usage, DONE))
        client, verdict = await bench.ask(STREAM)
        assert verdict is None
        assert client.body == first + second + last + DONE
        assert client.ended == "finished"
        assert json.loads(bench.upstream.calls[0].body)["stream_options"] == {"include_usage": True}
        (receipt,) = bench.journal.receipts
        assert (receipt.input, receipt.output, receipt.payer) == (5, 2, "reported")
        assert receipt.first_byte_ns is not None
        assert bench.upstream.was_satisfied

    async def test_a_client_that_asked_for_usage_gets_the_chunk(self):
        """`include_usage` is the client's to choose."""
        usage = chunk(choices=[], usage=(5, 2))
        bench = make_bench(streamed(chunk("x"), usage, DONE))
        client, _ = await bench.ask({**STREAM, "stream_options": {"include_usage": True}})
        assert usage in client.body

    async def test_a_provider_without_stream_usage_is_not_asked_for_it(self):
        """`stream_usage: none` sends the request as it came and estimates."""
        config = snapshot(providers={"prv_one": provider("one", stream_usage=StreamUsage.NONE)})
        bench = make_bench(streamed(chunk("abcd"), chunk("efgh"), DONE), config=config)
        await bench.ask(STREAM)
        assert "stream_options" not in json.loads(bench.upstream.calls[0].body)
        assert bench.journal.receipts[0].usage_source == "estimated"
        assert bench.journal.receipts[0].output == 2

    async def test_progress_is_ahead_of_the_client(self):
        """At every write the progress file already holds what the client is about to get."""
        bench = make_bench(streamed(chunk("a"), chunk("b") + chunk("c"), DONE))
        client = FakeClient()
        seen = []
        write = client.write
        client.write = lambda data: (seen.append(bench.journal.progressed[-1][1]), write(data))
        await bench.ask(STREAM, client=client)
        assert [entry.events for entry in seen[:2]] == [1, 3]
        assert all(entry.state == 3 for entry in seen)

    async def test_nothing_is_sent_before_the_first_event(self):
        """Comments and an error event first still end in a real status."""
        error = b'data: {"error":{"message":"overloaded","code":503}}\n\n'
        bench = make_bench(streamed(b": wait\n\n", error))
        client, verdict = await bench.ask(STREAM)
        assert client.status is None
        assert (verdict.cause, verdict.phase) == (Cause.STREAM_ERROR, Phase.FIRST_EVENT)
        assert bench.journal.receipts[0].output == 0

    @pytest.mark.parametrize(
        "script",
        [
            streamed(chunk("a"), chunk("b"), failure=RESET),
            streamed(chunk("a"), chunk("b")),
            streamed(chunk("a"), chunk("b"), b'data: {"error":{"message":"x"}}\n\n'),
            streamed(chunk("a"), chunk("b"), b"data: " + b"x" * 1_100_000),
        ],
        ids=["reset", "end without DONE", "error event", "endless line"],
    )
    async def test_a_cut_stream_ends_in_one_error_event(self, script):
        """One error event, no [DONE], closed; what was received is billed as estimated."""
        bench = make_bench(script)
        client, verdict = await bench.ask(STREAM)
        assert verdict is None
        assert client.body.startswith(chunk("a") + chunk("b"))
        assert client.body.count(b'"error"') == 1
        assert b"[DONE]" not in client.body
        assert client.ended == "aborted"
        (receipt,) = bench.journal.receipts
        assert (receipt.payer, receipt.outcome, receipt.output) == ("cut", "broken", 2)
        assert receipt.usage_source == "estimated"

    async def test_a_stream_without_done_but_finished_is_complete(self):
        """Some providers end after the finish reason."""
        bench = make_bench(streamed(chunk("a"), chunk(finish="stop", usage=(3, 1))))
        client, _ = await bench.ask(STREAM)
        assert client.ended == "finished"
        assert bench.journal.receipts[0].payer == "reported"

    async def test_a_last_event_without_its_blank_line_still_counts(self):
        """Usage and `[DONE]` found in the tail are read; a stream of one such event is served."""
        bench = make_bench(streamed(chunk("a"), chunk(finish="stop", usage=(3, 1)), DONE.rstrip()))
        client, _ = await bench.ask(STREAM)
        assert client.ended == "finished"
        assert bench.journal.receipts[0].payer == "reported"
        bench = make_bench(streamed(chunk("a", finish="stop").rstrip()))
        client, verdict = await bench.ask(STREAM)
        assert (verdict, client.ended, client.status) == (None, "finished", 200)

    async def test_an_empty_stream_is_a_502(self):
        """A 200 without a single event never looks like an answer."""
        for script in (streamed(), streamed(b": only a comment\n\n")):
            client, verdict = await make_bench(script).ask(STREAM)
            assert client.status is None
            assert isinstance(verdict, Failure)

    async def test_what_comes_after_done_is_ignored(self):
        """Nothing passes behind `[DONE]`."""
        bench = make_bench(streamed(chunk("a"), DONE, chunk("b")))
        client, _ = await bench.ask(STREAM)
        assert client.body == chunk("a") + DONE

    async def test_a_failure_before_the_head_of_a_stream_has_a_status(self):
        """Refused connections of streamed requests are a real status too."""
        client, verdict = await make_bench(Script(failure=REFUSED)).ask(STREAM)
        assert (verdict, client.status) == (REFUSED, None)

    async def test_a_reset_after_done_changes_nothing(self):
        """The client has everything: the attempt finished."""
        bench = make_bench(streamed(chunk("a"), DONE, failure=RESET))
        client, _ = await bench.ask(STREAM)
        assert client.ended == "finished"
        assert bench.journal.receipts[0].outcome == "finished"

    async def test_a_client_that_leaves_is_billed_what_was_received(self):
        """Upstream is cancelled; input and output so far, estimated; no error event."""
        client = FakeClient()
        bench = make_bench(streamed(chunk("a"), chunk("b"), client.leave, chunk("c")))
        await bench.ask(STREAM, client=client)
        (receipt,) = bench.journal.receipts
        assert (receipt.payer, receipt.outcome, receipt.output) == ("client_gone", "client_gone", 2)
        assert receipt.input > 0
        assert b"error" not in client.body

    async def test_a_client_that_leaves_after_done_has_finished(self):
        """Leaving with everything in hand is no cut."""
        client = FakeClient()
        bench = make_bench(streamed(chunk("a"), DONE, client.leave))
        await bench.ask(STREAM, client=client)
        assert bench.journal.receipts[0].outcome == "finished"

    async def test_a_slow_client_stops_the_provider(self):
        """Congestion pauses upstream; the client's drain resumes it."""
        client = FakeClient()
        bench = make_bench(streamed(chunk("a"), lambda: client.on_writable(), chunk("b"), DONE))
        client.congested = True
        await bench.ask(STREAM, client=client)
        assert bench.upstream.paused >= 1
        assert bench.upstream.resumed == 1

    async def test_json_instead_of_a_stream_is_a_502(self):
        """A 200 that is no event stream cannot be passed on as one."""
        bench = make_bench(whole())
        client, verdict = await bench.ask(STREAM)
        assert (verdict.cause, client.status) == (Cause.PROTOCOL, None)

    async def test_an_error_status_on_a_stream_is_read_whole(self):
        """A 429 to a streamed request is a real 429 with its reason."""
        headers = [(b"content-type", b"application/json"), (b"retry-after", b"7")]
        body = b'{"error":{"message":"slow down"}}'
        bench = make_bench(Script(status=429, headers=headers, pieces=[body]))
        _, verdict = await bench.ask(STREAM)
        assert (verdict.status, verdict.message, verdict.retry_after_s) == (429, "slow down", 7)

    async def test_our_credential_is_in_no_error(self):
        """Attack 92: a provider quotes the credential it refuses, which is ours: in a status, in an
        error event first or in the middle, as text or as code."""
        error = b'{"error":{"message":"Bad key %b.","code":"%b"}}' % ((SECRET.encode(),) * 2)
        event = b"data: " + error + b"\n\n"
        for script in (Script(status=400, pieces=[error]), streamed(event)):
            bench = make_bench(script)
            _, verdict = await bench.ask(STREAM)
            assert (verdict.message, verdict.code) == ("Bad key [redacted].", None)
        client, _ = await make_bench(streamed(chunk("a"), event)).ask(STREAM)
        assert b"Bad key [redacted]." in client.body
        assert SECRET.encode() not in client.body

    async def test_a_drain_ends_running_streams_with_one_error_event(self):
        """At the end of the drain time what runs is told so and settled."""
        bench = make_bench()
        bench.upstream.scripts.append(
            streamed(chunk("a"), lambda: bench.gateway.running.stop_all(), chunk("b"))
        )
        client, _ = await bench.ask(STREAM)
        assert client.ended == "aborted"
        assert bench.journal.receipts[0].payer == "cut"


class TestFailover:
    """Several targets."""

    async def test_the_next_target_answers_and_only_the_winner_is_billed(self):
        """One receipt an attempt: the loser costs nothing."""
        bench = make_bench(Script(failure=REFUSED), whole(), config=snapshot(("one", "two")))
        client, verdict = await bench.ask(ASK)
        assert (verdict, client.status) == (None, 200)
        lost, won = bench.journal.receipts
        assert (lost.attempt, lost.payer, lost.output) == (1, "failed_over", 0)
        assert (won.attempt, won.payer, won.provider_id) == (2, "reported", "prv_two")
        assert lost.request_id == won.request_id

    async def test_a_400_is_not_tried_elsewhere(self):
        """The request is wrong; another provider would only say the same."""
        bench = make_bench(Script(status=400, pieces=[b"{}"]), config=snapshot(("one", "two")))
        await bench.ask(ASK)
        assert len(bench.upstream.calls) == 1

    async def test_a_begun_stream_is_never_tried_elsewhere(self):
        """After the first byte there is no failover."""
        bench = make_bench(streamed(chunk("a"), failure=RESET), config=snapshot(("one", "two")))
        await bench.ask(STREAM)
        assert len(bench.upstream.calls) == 1

    async def test_attempts_are_bounded(self):
        """At most three targets are asked, and the last failure is told."""
        config = snapshot(("one", "two", "three", "four"))
        bench = make_bench(*[Script(failure=REFUSED)] * 4, config=config)
        _, verdict = await bench.ask(ASK)
        assert len(bench.upstream.calls) == 3
        assert verdict is REFUSED
        payers = [receipt.payer for receipt in bench.journal.receipts]
        assert payers == ["failed_over", "failed_over", "failed"]

    async def test_disabled_providers_are_passed_over(self):
        """A target whose provider is disabled is not asked; none left is a 503."""
        config = snapshot(providers={"prv_one": provider("one", enabled=False)})
        bench = make_bench(config=config)
        _, verdict = await bench.ask(ASK)
        assert isinstance(verdict, Unavailable)


class TestRefusals:
    """What ends before any provider is asked."""

    @pytest.mark.parametrize(
        "headers",
        [
            [],
            [(b"authorization", b"Basic abc")],
            [(b"authorization", b"Bearer nonsense")],
            [(b"authorization", b"Bearer " + KEY[:-1].encode() + b"x")],
            [(b"x-api-key", b"\xff\xfe")],
        ],
    )
    async def test_no_valid_key_no_call(self, headers):
        """401, no attempt, no row."""
        bench = make_bench()
        _, verdict = await bench.ask(ASK, headers=headers)
        assert isinstance(verdict, Unauthenticated)
        assert bench.journal.intents == []
        assert bench.recorder.receipts[0].outcome == "refused"

    async def test_the_key_may_come_either_way_but_not_as_two(self):
        """`x-api-key` works; two that differ, or one header twice, are a 400."""
        good, other = KEY.encode(), b"tw_other"
        bench = make_bench(whole(), whole())
        both = [(b"authorization", b"Bearer " + good), (b"x-api-key", good)]
        assert (await bench.ask(ASK, headers=[(b"x-api-key", good)]))[1] is None
        assert (await bench.ask(ASK, headers=both))[1] is None
        for headers in (
            [(b"authorization", b"Bearer " + good), (b"x-api-key", other)],
            [(b"authorization", b"Bearer " + good), (b"authorization", b"Bearer " + good)],
        ):
            _, verdict = await bench.ask(ASK, headers=headers)
            assert isinstance(verdict, BadRequest)

    @pytest.mark.parametrize(
        "changes",
        [{"expires_s": 1.0}, {"not_before_s": 1e12}, {"revoked_s": 1.0}, {"pepper_version": 9}],
    )
    async def test_a_key_that_is_not_live_is_a_wrong_key(self, changes):
        """Expired, not yet begun, revoked: all read the same."""
        bench = make_bench(config=_key(**changes))
        _, verdict = await bench.ask(ASK)
        assert verdict == Unauthenticated(
            "The API key is not valid. Check that it was copied whole."
        )

    async def test_scopes_bind(self):
        """Endpoint, address and model scopes of the key, and a disabled tenant."""
        from dataclasses import replace

        for config, kind in [
            (_key(endpoints=("embeddings",)), Forbidden),
            (_key(ip_allow=("10.0.0.0/8",)), Forbidden),
            (_key(models=("other",)), ModelNotFound),
            (snapshot(tenants={TENANT.id: replace(TENANT, active=False)}), Forbidden),
            (snapshot(tenants={TENANT.id: replace(TENANT, models="listed")}), ModelNotFound),
            (snapshot(tenants={}), Unauthenticated),
            (snapshot(keys={}), Unauthenticated),
        ]:
            _, verdict = await make_bench(config=config).ask(ASK)
            assert isinstance(verdict, kind), config

    async def test_an_unknown_model_is_not_found(self):
        """404, and nothing was sent."""
        bench = make_bench()
        _, verdict = await bench.ask({**ASK, "model": "nope"})
        assert verdict == ModelNotFound("nope")

    @pytest.mark.parametrize("changes", [{}, {"model": None}])
    async def test_a_tenants_default_stands_in_for_a_model(self, changes):
        """It goes upstream as if it had been sent: its target's name, in the same place."""
        from dataclasses import replace

        tenants = {TENANT.id: replace(TENANT, default_model="m")}
        bench = make_bench(whole(), config=snapshot(tenants=tenants))
        client, verdict = await bench.ask({"messages": ASK["messages"], **changes})
        assert (client.status, verdict) == (200, None)
        assert json.loads(bench.upstream.calls[0].body)["model"] == "one-model"
        assert bench.journal.intents[0].model == "m"

    async def test_a_default_model_opens_nothing(self):
        """Scopes and grants bind it, a wrong key is told nothing of it, and one that is not there
        is not found."""
        from dataclasses import replace

        unnamed = {"messages": ASK["messages"]}
        tenant = replace(TENANT, default_model="m")
        tenants = {TENANT.id: tenant}
        for config, expected in [
            (replace(_key(models=("other",)), tenants=tenants), ModelNotFound("m")),
            (snapshot(tenants={TENANT.id: replace(tenant, models="listed")}), ModelNotFound("m")),
            (
                snapshot(tenants={TENANT.id: replace(tenant, default_model="gone")}),
                ModelNotFound("gone"),
            ),
        ]:
            bench = make_bench(config=config)
            assert (await bench.ask(unnamed))[1] == expected
            assert bench.upstream.calls == []
        _, verdict = await make_bench(config=snapshot(tenants=tenants)).ask(unnamed, headers=[])
        assert isinstance(verdict, Unauthenticated)

    async def test_no_model_and_no_default_is_a_400(self):
        """It names the field, and the setting."""
        _, verdict = await make_bench().ask({"messages": ASK["messages"]})
        assert (verdict.code, verdict.param) == ("missing_required_parameter", "model")
        assert "default_model" in verdict.message

    async def test_a_bad_body_is_a_400(self):
        """Parsing comes first."""
        _, verdict = await make_bench().ask(b"{")
        assert isinstance(verdict, BadRequest)

    async def test_a_full_journal_refuses_new_work(self):
        """What cannot be recorded is not sent; the client may try again."""
        journal = MemoryJournal()
        journal.full = True
        bench = make_bench(whole(), journal=journal)
        _, verdict = await bench.ask(ASK)
        assert isinstance(verdict, Unavailable)
        assert verdict.code == "usage_journal_unavailable"
        assert bench.upstream.calls == []

    async def test_a_guard_can_refuse(self):
        """The first guard that says no ends the request."""

        class Guard:
            def screen(self, principal, model, body):
                return Forbidden("no") if b"secret" in body else None

        bench = make_bench(whole(), guards=[Guard()])
        assert (await bench.ask(ASK))[1] is None
        assert (await bench.ask({**ASK, "user": "secret"}))[1] == Forbidden("no")


class TestLabelsAndRewrites:
    """What goes into the row, and what goes to the provider."""

    async def test_labels_reach_the_row(self):
        """Tags, end user and the client's request id are columns."""
        headers = [
            (b"authorization", b"Bearer " + KEY.encode()),
            (b"x-tollway-tags", b"team=search, env=prod"),
            (b"x-tollway-end-user", b"ada\x00"),
            (b"x-request-id", b"mine"),
        ]
        bench = make_bench(whole())
        await bench.ask(ASK, headers=headers)
        (receipt,) = bench.journal.receipts
        assert receipt.tags == (("team", "search"), ("env", "prod"))
        assert (receipt.end_user, receipt.client_request_id) == ("ada", "mine")
        assert receipt.request_id.startswith("req_20261123")

    async def test_bad_tags_are_a_400(self):
        """Seventeen tags are one too many."""
        tags = ",".join(f"t{n}=1" for n in range(17)).encode()
        headers = [(b"authorization", b"Bearer " + KEY.encode()), (b"x-tollway-tags", tags)]
        _, verdict = await make_bench().ask(ASK, headers=headers)
        assert isinstance(verdict, BadRequest)

    async def test_users_are_namespaced_by_tenant(self):
        """The provider sees a digest of the user, equal for equal users of one tenant only."""
        bench = make_bench(whole(), whole())
        await bench.ask({**ASK, "user": "ada"})
        await bench.ask({**ASK, "user": "ada"})
        first, second = (json.loads(call.body)["user"] for call in bench.upstream.calls)
        assert first == second != "ada"
        assert bench.journal.receipts[0].end_user == "ada"

    async def test_only_known_headers_go_up(self):
        """Credentials, cookies and forwarding headers stay; beta and trace headers pass."""
        headers = [
            (b"authorization", b"Bearer " + KEY.encode()),
            (b"cookie", b"a=b"),
            (b"x-forwarded-for", b"1.2.3.4"),
            (b"openai-beta", b"x=1"),
            (b"traceparent", b"00-1"),
        ]
        bench = make_bench(whole())
        await bench.ask(ASK, headers=headers)
        names = {name for name, _ in bench.upstream.calls[0].headers}
        assert names == {b"content-type", b"accept", b"openai-beta", b"traceparent"}


class TestCache:
    """The response cache in memory."""

    async def test_the_same_request_is_answered_once_by_the_provider(self):
        """A hit asks nobody and bills nothing; another body is a miss."""
        bench = make_bench(whole(), whole(), cache_bytes=100_000)
        await bench.ask(ASK)
        client, verdict = await bench.ask(ASK)
        assert (verdict, client.body, client.headers[b"x-tollway-cache"]) == (None, reply(), b"hit")
        assert bench.recorder.receipts[-1].outcome == "cached"
        await bench.ask({**ASK, "temperature": 1})
        assert len(bench.upstream.calls) == 2


async def test_a_bug_settles_the_attempt():
    """An exception inside the attempt leaves one outcome behind, then surfaces."""
    bench = make_bench(Script(raises=RuntimeError("bug")))
    with pytest.raises(RuntimeError):
        await bench.ask(ASK)
    assert len(bench.journal.receipts) == 1
    assert bench.journal.receipts[0].payer == "failed"


async def test_a_durable_journal_is_awaited_before_the_request_leaves():
    """With fsync `always` the intent is on disk first."""
    bench = make_bench(whole(), journal=MemoryJournal(needs_wait=True))
    await bench.ask(ASK)
    assert bench.journal.waits == 1
