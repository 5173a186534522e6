"""Counting in workers, merging and rendering in the supervisor."""

from prometheus_client.parser import text_string_to_metric_families

from tollway.adapters.prometheus.exposition import merge, render
from tollway.adapters.prometheus.tally import Tally
from tollway.domain.receipt import Receipt

BASE = Receipt(
    *("req_1", 1, "usage", 0, 1_000_000_000, 1_030_000_000, "chat_completions", False),
    *("ten_a", None, None, "key_a", "m", "mdl_a", "prv_a", None, "up", None, None, ()),
    *(10, 2, None, 5, 0, None, None, "provider", "reported", None, None, 200, 200),
    *("finished", None, None),
)


def _page(*tallies, gauges=None):
    merged = {}
    merge([tally.collect() for tally in tallies], merged)
    page = render(merged, gauges or {})
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(page.decode())
        for sample in family.samples
    }


def test_workers_add_up():
    """The page of two workers is the sum of both."""
    one, two = Tally(), Tally()
    one.observe(BASE)
    two.observe(BASE)
    two.observe(BASE._replace(status=503, outcome="failed", input=0, output=0, cached_input=None))
    samples = _page(one, two, gauges={"tollway_workers_ready": 2.0})
    labels = {"endpoint": "chat_completions", "model": "m", "provider": "prv_a"}
    ok = tuple(sorted({**labels, "status": "200", "outcome": "finished"}.items()))
    bad = tuple(sorted({**labels, "status": "503", "outcome": "failed"}.items()))
    assert samples[("tollway_requests_total", ok)] == 2
    assert samples[("tollway_requests_total", bad)] == 1
    token = {"model": "m", "provider": "prv_a"}
    assert (
        samples[("tollway_tokens_total", tuple(sorted({**token, "class": "input"}.items())))] == 20
    )
    assert samples[("tollway_workers_ready", ())] == 2
    count = ("tollway_request_duration_seconds_count", (("endpoint", "chat_completions"),))
    assert samples[count] == 3


def test_a_failed_over_attempt_is_no_request():
    """Only the attempt that ended the request counts as one."""
    tally = Tally()
    tally.observe(BASE._replace(payer="failed_over", input=0, output=0))
    assert tally.collect()["requests"] == []


def test_buckets_are_cumulative_and_hold_every_observation():
    """Durations beyond the last bound are in +Inf."""
    tally = Tally()
    tally.observe(BASE._replace(ended_ns=BASE.started_ns + 10**15, first_byte_ns=BASE.started_ns))
    samples = _page(tally)
    inf = (("endpoint", "chat_completions"), ("le", "+Inf"))
    top = (("endpoint", "chat_completions"), ("le", "300.0"))
    assert samples[("tollway_request_duration_seconds_bucket", inf)] == 1
    assert samples[("tollway_request_duration_seconds_bucket", top)] == 0


def test_limits_by_quota_and_why():
    """Refusals of all workers add up, and what was let in on a share."""
    merged = {}
    one = {"limits": [["quo_1", "reached", 3], ["quo_2", "shadow", 1]], "shares": [[2]]}
    merge([one, {"limits": [["quo_1", "reached", 4]], "shares": [[0]]}, {}], merged)
    text = render(merged, {"tollway_workers_counting": 1.0}).decode()
    assert 'tollway_limit_refusals_total{quota="quo_1",why="reached"} 7.0' in text
    assert 'tollway_limit_refusals_total{quota="quo_2",why="shadow"} 1.0' in text
    assert "tollway_limit_share_admissions_total 2.0" in text
    assert "tollway_workers_counting 1.0" in text


def test_usage_that_cannot_be():
    """Each way by model and provider, on its own."""
    one, two = Tally(), Tally()
    for flaw in ("usage:above_ceiling", "usage:below_seen", "usage:below_seen", None):
        one.observe(BASE._replace(error=flaw))
    two.observe(BASE._replace(error="usage:below_seen"))
    samples, labels = _page(one, two), (("model", "m"), ("provider", "prv_a"))
    assert samples["tollway_usage_above_ceiling_total", labels] == 1
    assert samples["tollway_usage_below_seen_total", labels] == 3
