"""How a journal is kept, and the one error that says it cannot be. No other setting of the journal
lives anywhere else.
"""

from dataclasses import dataclass
from enum import StrEnum

# No record is larger, whatever the options say: readers use it to tell a length from damage.
RECORD_LIMIT_BYTES = 64 * 1024


class Fsync(StrEnum):
    """When records are forced to the disk. A killed process loses nothing under any of them."""

    OFF = "off"  # power loss costs what the kernel had not written back
    INTERVAL = "interval"  # power loss costs at most the last interval
    ALWAYS = "always"  # no attempt is made before its intent is on the disk


@dataclass(frozen=True, slots=True)
class JournalOptions:
    """Sizes and times of one slot's journal. Raises ValueError for sizes that cannot work."""

    fsync: Fsync = Fsync.INTERVAL
    fsync_interval_s: float = 1.0
    segment_bytes: int = 16 * 1024 * 1024
    max_record_bytes: int = 16 * 1024
    progress_slots: int = 16384  # attempts under way at the same time; more are refused
    retry_s: float = 1.0  # how often a full disk is asked again

    def __post_init__(self) -> None:
        if not 256 <= self.max_record_bytes <= RECORD_LIMIT_BYTES:
            raise ValueError(f"max_record_bytes must be 256 to {RECORD_LIMIT_BYTES}")
        if self.segment_bytes < 4 * self.max_record_bytes or self.segment_bytes % 8:
            raise ValueError("segment_bytes must be a multiple of 8 and 4 records long")
        if self.progress_slots < 1:
            raise ValueError("progress_slots must be at least 1")


class JournalUnusableError(Exception):
    """The journal cannot be used; the message says why and what to do."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem} {remedy}")
        self.problem = problem
        self.remedy = remedy
