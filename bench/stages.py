"""What is asked of the subjects, stage by stage. In every round each subject has its turn, and the
turns rotate, so that slow minutes of the machine and the place in the row fall on all alike.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from bench.gateway import unknown_key, wrong_checksum
from bench.lab import Lab
from bench.plan import Plan
from bench.subject import DIRECT, ENVOY, GATEWAY, Subject

_FULL_ROUND_STREAM = 64  # direct streams are measured at this size only: for the first byte
_HELD_CHUNKS = 10
_CLOSED_CONNECTIONS = 32
_REFUSED_RATE = 2000


def whole_answers(lab: Lab, plan: Plan, subjects: Sequence[Subject]) -> None:
    """Chat completions that are not streamed, at constant rates."""
    for number in range(plan.rounds):
        lab.measure_idle(subjects, plan.idle_s)
        for rate in plan.rates:
            for subject in _turn(subjects, number):
                lab.measure(
                    f"rate/{rate}",
                    subject,
                    number=number,
                    rate=rate,
                    warm_s=plan.warm_s,
                    window_s=plan.window_s,
                )


def streams(lab: Lab, plan: Plan, subjects: Sequence[Subject]) -> None:
    """Streams of several lengths: the slope over them is the cost of a chunk."""
    for number in range(plan.stream_rounds):
        lab.measure_idle(subjects, plan.idle_s)
        for label, gap_ms in _gaps(plan):
            for chunks in plan.stream_chunks:
                length_s = chunks * (gap_ms + 1) / 1000
                for subject in _turn(subjects, number):
                    if subject.name == DIRECT and chunks != min(
                        plan.stream_chunks, key=lambda size: abs(size - _FULL_ROUND_STREAM)
                    ):
                        continue
                    rate = plan.chunk_rate / chunks
                    lab.measure(
                        f"stream/{chunks}/{label}",
                        subject,
                        number=number,
                        rate=rate,
                        connections=32 + int(2 * rate * length_s),
                        chunks=chunks,
                        gap_ms=gap_ms,
                        burst=label == "burst",
                        warm_s=plan.warm_s + 1.5 * length_s,
                        window_s=plan.stream_window_s,
                    )


def refusals(lab: Lab, plan: Plan, subjects: Sequence[Subject]) -> None:
    """What a wrong key costs. Without Envoy: it closes the connection, which the others keep."""
    for number in range(plan.refusal_rounds):
        lab.measure_idle(subjects, plan.idle_s)
        for subject in _turn(subjects, number):
            if subject.name in (DIRECT, ENVOY):
                continue
            keys = {"unknown": unknown_key()}
            if subject.name == GATEWAY:
                keys["checksum"] = wrong_checksum(subject.key)
            for kind, key in keys.items():
                lab.measure(
                    f"refused/{kind}",
                    replace(subject, key=key),
                    number=number,
                    rate=_REFUSED_RATE,
                    status=401,
                    warm_s=plan.warm_s,
                    window_s=plan.window_s,
                )


def closed_loop(lab: Lab, plan: Plan, subjects: Sequence[Subject]) -> None:
    """As many requests as 32 clients get answered: what one costs when there is no idle moment."""
    for number in range(plan.closed_rounds):
        for subject in _turn(subjects, number):
            lab.measure(
                "closed",
                subject,
                number=number,
                rate=0,
                connections=_CLOSED_CONNECTIONS,
                warm_s=plan.warm_s,
                window_s=plan.window_s,
            )


def open_streams(
    lab: Lab, plan: Plan, subjects: Sequence[Subject], found: dict[str, list[float]], number: int
) -> None:
    """Memory of freshly started subjects, at rest and with many open streams; into `found`."""
    for subject in subjects:
        if subject.name == DIRECT:
            continue
        lab.measure("warm", subject, number=number, rate=500, window_s=0.5)
        lab.measure("warm", subject, number=number, rate=100, window_s=0.5, chunks=8)
        held = lab.hold(subject, streams=plan.open_streams, chunks=_HELD_CHUNKS)
        if held is None:
            continue
        before, during = held
        name, count = subject.name, plan.open_streams
        for figure, value in (
            (f"memory/rss/{name}", before.rss_kib / 1024),
            (f"memory/pss/{name}", before.pss_kib / 1024),
            (f"stream_rss/{name}", (during.rss_kib - before.rss_kib) / count),
            (f"stream_pss/{name}", (during.pss_kib - before.pss_kib) / count),
        ):
            found.setdefault(figure, []).append(value)


def _turn(subjects: Sequence[Subject], number: int) -> Sequence[Subject]:
    shift = number % len(subjects)
    return [*subjects[shift:], *subjects[:shift]]


def _gaps(plan: Plan) -> Iterator[tuple[str, int]]:
    for gap_ms in plan.gaps_ms:
        yield str(gap_ms), gap_ms
    if plan.burst:
        yield "burst", 0
