"""From clean samples to named figures. A figure's name is a path: `cpu/2000/tollway` in us per
request, `ratio/cpu/2000/nginx` from the rounds where both were measured. Pure.
"""

from collections.abc import Iterable, Mapping, Sequence

from bench.figures import Spread, slope, spread
from bench.gateway import SHIPPER
from bench.lab import Sample
from bench.subject import DIRECT, ENVOY, GATEWAY, NGINX

Figures = dict[str, Spread]
_Values = dict[str, dict[int, float]]  # figure -> round -> value
_BARE = f"{GATEWAY}-without-shipper"


def summarise(samples: Sequence[Sample], extra: Mapping[str, Sequence[float]]) -> Figures:
    """Every figure of a run. `extra` are figures that were measured whole (memory)."""
    values: _Values = {}
    for sample in samples:
        _of_sample(values, sample)
    _added_latency(values)
    _chunk_costs(values, samples)
    _ratios(values)
    figures = {name: spread(list(rounds.values())) for name, rounds in values.items()}
    figures |= {name: spread(numbers) for name, numbers in extra.items()}
    return {name: found for name, found in sorted(figures.items()) if found is not None}


def _of_sample(values: _Values, sample: Sample) -> None:
    stage, _, detail = sample.stage.partition("/")
    name, number, outcome = sample.subject, sample.round, sample.outcome

    def put(figure: str, value: float) -> None:
        values.setdefault(figure, {})[number] = value

    if stage == "rate":
        put(f"p50/{detail}/{name}", outcome.p50_ms)
        put(f"p99/{detail}/{name}", outcome.p99_ms)
    elif stage == "stream":
        put(f"first_p50/{detail}/{name}", outcome.first_p50_ms)
        put(f"first_p99/{detail}/{name}", outcome.first_p99_ms)
    elif stage == "closed":
        put(f"closed_rate/{name}", outcome.answered / outcome.window_s)
    if name == DIRECT:
        return
    if stage == "rate":
        put(f"cpu/{detail}/{name}", sample.each_us())
        put(f"rss/{detail}/{name}", sample.rss_kib / 1024)
        if name == GATEWAY:
            put(f"cpu/{detail}/{_BARE}", sample.each_us(SHIPPER))
    elif stage == "stream":
        put(f"stream_cpu/{detail}/{name}", sample.each_us())
    elif stage == "refused":
        put(f"refused/{detail}/{name}", sample.each_us())
    elif stage == "closed":
        put(f"closed_cpu/{name}", sample.each_us())


def _added_latency(values: _Values) -> None:
    """Through a subject minus direct, in the same round."""
    for figure in [name for name in values if name.startswith(("p50/", "p99/", "first_p50/"))]:
        measure, _, rest = figure.partition("/")
        where, _, name = rest.rpartition("/")
        base = values.get(f"{measure}/{where}/{DIRECT}", {})
        if name != DIRECT:
            both = values[figure].keys() & base.keys()
            added = {number: values[figure][number] - base[number] for number in both}
            values[f"added_{figure}"] = added


def _chunk_costs(values: _Values, samples: Iterable[Sample]) -> None:
    """CPU per chunk: the slope of CPU per stream over the number of chunks, round by round."""
    points: dict[tuple[str, str, int], list[tuple[float, float]]] = {}
    for sample in samples:
        stage, *detail = sample.stage.split("/")
        if stage == "stream" and sample.subject != DIRECT:
            chunks, gap = detail
            key = (gap, sample.subject, sample.round)
            points.setdefault(key, []).append((int(chunks), sample.each_us()))
    most = max((len(of_round) for of_round in points.values()), default=0)
    for (gap, name, number), of_round in points.items():
        if len(of_round) == most > 1:  # a slope over other sizes would be another figure
            values.setdefault(f"chunk/{gap}/{name}", {})[number] = slope(of_round)


def _ratios(values: _Values) -> None:
    for figure in [name for name in values if name.endswith(f"/{GATEWAY}")]:
        stem = figure.rpartition("/")[0]
        if stem.split("/")[0] not in ("cpu", "chunk", "refused", "closed_cpu"):
            continue
        for reference in (NGINX, ENVOY):
            base = values.get(f"{stem}/{reference}", {})
            both = values[figure].keys() & base.keys()
            ratios = {number: values[figure][number] / base[number] for number in both}
            if ratios:
                values[f"ratio/{stem}/{reference}"] = ratios
