"""One account's cells in memory, for several queues in one process: each at a seat of its own."""

from tollway.domain.fair_commons import GRANTS, NUMBERS, RUNNING, SEAT, WAITING, OwnFinishes


class Finishes(OwnFinishes):
    """What others have to know too."""

    def __init__(self):
        super().__init__()
        self.everybody, self.parts, self.places = {}, {}, []

    def split(self, tenant):
        return self.parts.get(tenant, 1.0)

    def place(self, tenant):
        if tenant not in self._known:
            return None
        if tenant not in self.places:
            self.places.append(tenant)
        return self.places.index(tenant)

    def at(self, place):
        return self.get(self.places[place])

    def push(self, place, start, *, weight, amount):
        tenant = self.places[place]
        self.put(tenant, max(0.0, start + amount / self.split(tenant)))
        self.used(tenant, weight, amount)

    def used(self, tenant, weight, amount):
        self.everybody[tenant] = (weight, self.everybody.get(tenant, (0, 0.0))[1] + amount)


class Table:
    """What all of them share. Whose seat is in `gone` is seen by nobody any more."""

    def __init__(self, seats):
        self.numbers = [0.0] * NUMBERS
        self.finishes = Finishes()
        self.seats = [[0.0] * SEAT for _ in range(seats)]
        self.gone = set()
        self.held = None  # by whom, where that is to be another
        self.woken = []

    def sit(self, number):
        """The view of one of them."""
        return Seat(self, number)


class Seat:
    """As one of them sees it. The lock is free unless a test holds it."""

    is_shared = True

    def __init__(self, table, number):
        self.table, self.number = table, number
        self.numbers, self.finishes = table.numbers, table.finishes
        self.seat = table.seats[number]

    def others(self):
        table = self.table
        return [
            (number, seat)
            for number, seat in enumerate(table.seats)
            if number != self.number and number not in table.gone
        ]

    def lock(self):
        if self.table.held is not None:
            return False
        self.table.held = self.number
        return True

    def unlock(self):
        assert self.table.held == self.number
        self.table.held = None

    def wake(self, number=None):
        self.table.woken.append((self.number, number))

    def standing(self):
        seats = self.table.seats
        sums = [int(sum(seat[at] for seat in seats)) for at in (RUNNING, GRANTS, WAITING)]
        return sums[0] + sums[1], sums[2]

    def tenants(self):
        return self.finishes.everybody

    def split(self, parts):
        self.finishes.parts = dict(parts)


class OneAccount:
    """A machine's board with one account."""

    speaks = True

    def __init__(self, seat, place="acc"):
        self.seat, self.place = seat, place

    def accounts(self):
        return {self.place: self.seat}
