"""How much is measured: the two sizes of a run. Times in seconds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """One size. Streams come at a rate that makes `chunk_rate` events a second whatever their
    length, so that all sizes meet the subject equally busy. `ladder_calls` are those of one rung,
    over all rounds."""

    name: str
    rates: tuple[int, ...]
    rounds: int
    window_s: float
    stream_chunks: tuple[int, ...]
    stream_rounds: int
    stream_window_s: float
    memory_rounds: int
    refusal_rounds: int
    closed_rounds: int
    ladder_calls: int
    ladder_rounds: int
    warm_s: float = 0.7
    gaps_ms: tuple[int, ...] = (0, 2)
    burst: bool = True
    chunk_rate: int = 5000
    open_streams: int = 1000
    idle_s: float = 1.5


QUICK = Plan(
    name="quick",
    rates=(2000,),
    rounds=3,
    window_s=2.5,
    stream_chunks=(8, 128),
    stream_rounds=2,
    stream_window_s=1.5,
    memory_rounds=1,
    refusal_rounds=1,
    closed_rounds=1,
    ladder_calls=20_000,
    ladder_rounds=2,
    burst=False,
    idle_s=1.0,
)
FULL = Plan(
    name="full",
    rates=(500, 1000, 2000),
    rounds=7,
    window_s=3.0,
    stream_chunks=(8, 64, 256),
    stream_rounds=5,
    stream_window_s=2.0,
    memory_rounds=3,
    refusal_rounds=5,
    closed_rounds=3,
    ladder_calls=200_000,
    ladder_rounds=9,
)
