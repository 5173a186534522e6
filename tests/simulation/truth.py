"""What the simulation knows to be so: each request that was asked for, what it holds and has used,
and what the server has answered about it. From that follow the least and the most that a counter
may say.
"""

from tollway.domain.window import BUCKET_S, BUCKETS

ASKING, RUNNING, ENDED, VOIDED, REFUSED = "asking", "running", "ended", "voided", "refused"


def server_s(now_s, later_ms=0):
    """A time as the scripts have it: in whole milliseconds."""
    return (int(now_s * 1000) + later_ms) / 1000


class Request:
    """`booked` is the hold it was let in with, of those it was asked for with; `used` so far, or in
    the end; `ended_at` the end of its journal then."""

    __slots__ = (
        "at_s",
        "booked",
        "decision",
        "hold",
        "id",
        "process",
        "said",
        "shared",
        "state",
        "used",
        "who",
    )

    def __init__(self, id_, who, process, hold):
        self.id = id_
        self.who = who
        self.process = process
        self.hold = hold
        self.at_s = hold.at_s
        self.state = ASKING
        self.booked = self.used = self.decision = None
        self.shared = False
        self.said = []


class Said:
    """One part of one hold, as the server has it: the run of the server it was let in under and the
    epoch, the end of its lease, and its outcome."""

    __slots__ = (
        "booked",
        "entries",
        "epoch",
        "expired",
        "lease_s",
        "outcome",
        "request",
        "run",
        "tag",
    )

    def __init__(self, request, booked, part):
        self.request = request
        self.booked = booked
        self.tag = part.tag.name
        self.entries = [Entry(self, line) for line in part.lines]
        self.run = self.epoch = ""
        self.lease_s = 0.0
        self.expired = False
        self.outcome = None

    def is_expired(self, now_s):
        """Whether its lease has ever run out: what it held may be others' since."""
        if self.expired or not self.run or self.outcome is not None:
            return self.expired
        if self.lease_s <= server_s(now_s):
            self.expired = True
        return self.expired


class Entry:
    """One line. `guess` is what the server knew it to have used when it last heard of it."""

    __slots__ = ("amount", "bucket_s", "excused", "folded", "guess", "line", "said")

    def __init__(self, said, line):
        self.said = said
        self.line = line
        self.amount = line.amount
        self.bucket_s = 0
        self.guess = 0
        self.excused = False
        self.folded = False

    @property
    def used(self):
        """What the request has used of it in the end, or so far."""
        used = self.said.request.used
        if used is None or self.line.place.kind == "l":
            return 0
        return used[self.line.rule.metric]

    @property
    def buckets(self):
        """The server's ten seconds, and its gateway's, which are the ledger's: a counter that was
        set from it has these. (0, 0): no minute."""
        if not self.bucket_s:
            return 0, 0
        return self.bucket_s, self.said.request.at_s // BUCKET_S * BUCKET_S

    @property
    def sure(self):
        """Of what it has used what was held for it."""
        return 0 if self.said.request.shared else min(self.used, self.amount)

    def least(self, now_s, epoch):
        """What must be counted for it."""
        said, request = self.said, self.said.request
        if self.excused or request.shared or request.state == VOIDED:
            return 0
        if request.booked is said.booked:
            amount = self.amount if request.state == RUNNING else self.sure
        elif said.epoch == epoch and said.outcome is None:
            # Refused, as no answer came: it will be voided, or expires with what was guessed of it.
            # Nobody puts it in again in another epoch.
            amount = 0 if said.is_expired(now_s) else self.amount
        else:
            return 0
        return min(amount, self.guess) if said.is_expired(now_s) else amount

    def most(self, now_s):
        """What may be counted for it."""
        said = self.said
        if said.outcome == "V":
            return 0
        most = self.used
        if said.run and said.outcome is None:
            # Of one that has ended the server may not know, and may have the ledger's row as well.
            held = max(self.line.held, self.amount)
            most = held + most if said.request.state == ENDED else max(held, most)
        # A guess stays until the ledger is known to have what it was made for.
        return most + max(self.guess, self.used) if said.is_expired(now_s) else most


class Account:
    """One counter: entries under way, and the sums of those that are over, by bucket."""

    __slots__ = ("entries", "folded", "kind")

    def __init__(self, kind):
        self.kind = kind
        self.entries = {}
        self.folded = {}

    def fold(self, entry):
        """It is over: it ended at the server, and is as it will stay."""
        if entry.folded or entry.said.expired:
            return
        entry.folded = True
        self.entries.pop(entry, None)
        least, most = self.folded.get(entry.buckets, (0, 0))
        self.folded[entry.buckets] = least + entry.sure, most + entry.used

    def excuse(self, entry):
        """It need not be counted any more."""
        if entry.folded and not entry.excused:
            least, most = self.folded[entry.buckets]
            self.folded[entry.buckets] = least - entry.sure, most
        entry.excused = True

    def bounds(self, now_s, epoch, but):
        """The least and the most, without these entries."""
        least = most = 0
        for buckets, (one, other) in list(self.folded.items()):
            if self._counts(max(buckets), now_s - BUCKET_S):
                most += other
                least += one if self._counts(min(buckets), now_s) else 0
            else:
                del self.folded[buckets]
        for entry in self.entries:
            if entry.said is not but and self._counts(max(entry.buckets), now_s - BUCKET_S):
                most += entry.most(now_s)
                if self._counts(min(entry.buckets), now_s):
                    least += entry.least(now_s, epoch)
        return least, most

    def _counts(self, bucket_s, now_s):
        return self.kind != "m" or now_s < bucket_s + BUCKETS * BUCKET_S
