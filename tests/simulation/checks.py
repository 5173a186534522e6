"""The invariants, asserted at every answer of the server. Design, section 4.5; where a promise is
narrower than the invariant's sentence, the comment says what is promised and where that stands.
"""

from tests.simulation.truth import Account, Said, server_s

WIDTH = 10


class Checks:
    """Hears of every script. `now_s` is the server's clock, `run_id` its run."""

    def __init__(self, now_s, run_id, names):
        self._now_s = now_s
        self._run_id = run_id
        self.names = names
        self.accounts = {}
        self.said = {}
        self.leases = {}
        self.epoch = ""
        self.joined = set()
        self.beats = {}
        self.scripts = 0
        self.newcomer = False
        self.rolled_back = False  # the server may have leases that were renewed since
        self.on_first = lambda: None
        self.on_end = lambda: None  # a gateway has ended an epoch, with no data lost
        self._first_in = ""
        self._began_in = ""

    def booked(self, request, booked):
        """A hold that will be asked for."""
        now_s = self._now_s()
        for part in booked.parts:
            said = Said(request, booked, part)
            request.said.append(said)
            self.said[part.tag.name, booked.id] = said
            for entry in said.entries:
                place = entry.line.place
                account = self.accounts.get(place.key)
                if account is None:
                    account = self.accounts[place.key] = Account(place.kind)
                account.entries[entry] = None
                if place.kind == "m":
                    entry.bucket_s = int(now_s) // 10 * 10

    def hear(self, text, keys, words, reply, writes):
        """One script was carried out."""
        self.scripts += 1
        name = self.names[text]
        heard = getattr(self, f"_{name}", None)
        if heard is not None:
            heard(keys, words, reply, writes)

    def forget(self, said):
        """It was not let in."""
        for entry in said.entries:
            self.accounts[entry.line.place.key].entries.pop(entry, None)

    # One script each.

    def _reserve(self, keys, words, reply, writes):
        said = self.said[_tag(keys[0]), words[2]]
        verdict, adopts = reply[0], words[4] == "1"
        if verdict == b"DONE":
            return
        if verdict != b"OK":
            # I7, but for leases that have run out: they are reaped first.
            assert not writes or self.rolled_back or self._reaps(said), (
                f"I7: a refusal wrote: {reply}"
            )
            self.forget(said)
        if verdict == b"OK":
            # I2: after its end at this server nothing gets in.
            assert said.outcome is None or said.run != self._run_id(), "I2: in after its end"
            if not adopts:
                if self._first_in != words[0]:
                    self._first_in = words[0]
                    self.on_first()
                for at, entry in enumerate(said.entries):
                    used, held, _, bucket_s, _ = reply[2 + 5 * at : 7 + 5 * at]
                    entry.bucket_s = bucket_s
                    self._judge(words[0], entry, used + held, let_in=True)
            self._let_in(said, words)
        elif verdict == b"BOUND":
            self._judge(words[0], said.entries[reply[2] - 1], reply[3] + reply[4], let_in=False)

    def _settle(self, keys, words, reply, writes):
        said = self.said[_tag(keys[0]), words[2]]
        if reply[0] != b"OK":
            return
        # I2: one outcome. What was told before data was lost is told again, and is the same.
        assert said.outcome in (None, words[4]), "I2: another outcome"
        said.is_expired(self._now_s())
        said.outcome = words[4]
        del writes
        for entry in said.entries:
            account = self.accounts[entry.line.place.key]
            if words[4] == "V":
                account.entries.pop(entry, None)
            else:
                account.fold(entry)

    def _renew(self, keys, words, reply, writes):
        del writes
        if reply[0] != b"OK":
            return
        at, now_s, lost = 3, self._now_s(), set(reply[2:])
        number = 0
        while at < len(words):
            id_, count = words[at], int(words[at + 1])
            number += 1
            said = self.said[_tag(keys[0]), id_]
            if number not in lost and said.outcome is None:
                expired = said.is_expired(now_s)
                said.lease_s = server_s(now_s, int(words[2]))
                for entry, progress in zip(
                    said.entries, words[at + 2 : at + 2 + count], strict=True
                ):
                    if not expired:
                        entry.guess = int(progress)
            at += 2 + count

    def _join(self, keys, words, reply, writes):
        del keys, writes
        epoch = reply[0].decode()
        self.beats[words[7]] = self._now_s()
        if epoch != self.epoch:
            if self._began_in == self._run_id():
                self.on_end()
            self.epoch, self._began_in = epoch, self._run_id()
        if epoch == words[1]:
            self.newcomer = not words[3]
        if epoch == words[3]:
            self.joined.add((epoch, words[7]))

    # Inside.

    def _let_in(self, said, words):
        said.is_expired(self._now_s())
        said.run, said.epoch = self._run_id(), words[0]
        said.lease_s = server_s(self._now_s(), int(words[3]))
        for at, entry in enumerate(said.entries):
            if not entry.folded:
                self.accounts[entry.line.place.key].entries[entry] = None
            if not said.expired:
                entry.guess = int(words[5 + at * WIDTH + 8])

    def _judge(self, epoch, entry, counted, *, let_in):
        line, said = entry.line, entry.said
        account = self.accounts[line.place.key]
        least, most = account.bounds(self._now_s(), epoch, said)
        where = f"{line.place.key.decode()} at {self._now_s():.3f}"
        # I8: nothing is counted that no request has used or holds, so nobody is refused for it.
        assert counted <= most, f"I8: {where}: {counted} counted, {most} can be"
        if let_in and not line.rule.shadow:
            # I1. Strict: at every instant, as sizes are the most a request can use. Bounded: when
            # one is let in; what runs then may use more than it holds (docs/quotas.md).
            assert least + entry.amount <= line.limit, (
                f"I1: {where}: {least} counts already, {entry.amount} let in over {line.limit}, "
                f"the server said {counted}"
            )

    def _reaps(self, said):
        now_s = self._now_s()
        return any(
            one.lease_s <= server_s(now_s) and one.run
            for (tag, _), one in self.said.items()
            if tag == said.tag
        )


def _tag(key):
    return key[key.index("{") + 1 : key.index("}")]
