"""What one machine's workers know together of providers' accounts: a mapped file of numbers, in
places that each of them reads as memory. Whoever changes an account's cells holds its lock for some
microseconds, and the kernel frees it with its process. `bells.py` has another worker look at once.

The file begins with a name of its own, when each worker was seen last, the names of the accounts,
as digests, and who of the workers has a use for each; then an area for each. An account that nobody
has a use for any more leaves its place to another one. Of use only while somebody has the file
open: whoever comes first makes it anew.
"""

import fcntl
import logging
import mmap
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import blake2b

from tollway.adapters.control.bells import Bells
from tollway.app.ports_sharing import MachinesAccount, NoBoard, SharedCommons
from tollway.domain.fair_commons import GRANTS, NUMBERS, RUNNING, SEAT, WAITING

_log = logging.getLogger(__name__)
SEATS = 64
_LAYOUT = 2  # another number whenever places change: old and new workers overlap
_ACCOUNTS = 512
_TENANTS = 256  # of one account whose turns are remembered
_BEATS_BYTES = 8 * SEATS
_NAMES_BYTES = 8 * _ACCOUNTS
_USERS_BYTES = 8 * _ACCOUNTS  # a bit for each seat
_MACHINE_BYTES = 8
_NAMES_AT = _MACHINE_BYTES + _BEATS_BYTES
_USERS_AT = _NAMES_AT + _NAMES_BYTES
_HEAD_BYTES = _USERS_AT + _USERS_BYTES
_NUMBERS_BYTES = 8 * NUMBERS
_SEATS_BYTES = 8 * SEAT * SEATS
_AREA_BYTES = _NUMBERS_BYTES + _SEATS_BYTES + 40 * _TENANTS
_SIZE = _HEAD_BYTES + _ACCOUNTS * _AREA_BYTES
_CHUNK = bytes(1 << 20)

_ALIVE_S = 2.0
_TRIES = 5
_PAUSE_S = 0.0002
_STUCK_S = 1.0  # without the lock: its holder stands still
_TABLE = _ACCOUNTS  # the lock's place of all names


class AccountBoard:
    """One worker's view of it. `open` it, and `beat` several times a second."""

    def __init__(self, run_dir: str, seat: int) -> None:
        """Raises OSError when the file cannot be had."""
        self.number = seat
        self.alive: tuple[int, ...] = ()  # the seats of others
        self._file = _opened(os.path.join(run_dir, f"accounts.{_LAYOUT}.board"))
        # Locks of one process on one file are freed with any descriptor of it: a file of its own.
        path = os.path.join(run_dir, f"accounts.{_LAYOUT}.lock")
        self._locks = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._map = mmap.mmap(self._file, _SIZE)
        view = memoryview(self._map)
        self.machine = bytes(view[:_MACHINE_BYTES]).hex()  # no other machine's name
        self._beats = view[_MACHINE_BYTES:_NAMES_AT].cast("d")
        self._names = view[_NAMES_AT:_USERS_AT].cast("Q")
        self._users = view[_USERS_AT:_HEAD_BYTES].cast("Q")
        self._areas = view[_HEAD_BYTES:]
        self._known: dict[str, SharedCommons] = {}
        self._places: dict[int, str] = {}
        self._by_index: dict[int, _Area] = {}
        self._stuck_since_s: float | None = None
        self._on_wake: Callable[[str], None] = lambda _: None
        self._bells = Bells(run_dir, seat, self._heard)
        self._claim()

    def open(self, on_wake: Callable[[str], None]) -> None:
        """Hear of accounts that others want to be looked at, by their places."""
        self._on_wake = on_wake
        self._bells.open()
        self.beat()
        self.wake(None, None)

    def close(self) -> None:
        """Leave the seat."""
        self._claim()
        self._beats[self.number] = 0.0
        self.wake(None, None)
        self._bells.close()
        os.close(self._locks)
        fcntl.flock(self._file, fcntl.LOCK_UN)  # the map has a descriptor of its own
        os.close(self._file)

    def beat(self) -> None:
        """Live on, and see who does."""
        now_s = time.monotonic()
        self._beats[self.number] = now_s
        alive = tuple(
            number
            for number, beat_s in enumerate(self._beats.tolist())
            if beat_s and now_s - beat_s < _ALIVE_S and number != self.number
        )
        if alive != self.alive:
            self.alive = alive

    def commons(self, place: str) -> SharedCommons:
        """Of the account of this name. With more than there is room for, a worker is alone."""
        found = self._known.get(place)
        if found is None:
            index = self._index(_digest(place))
            if index is None:
                return NoBoard().commons(place)
            found = self._known[place] = self._area(index)
            self._places[index] = place
        return found

    def leave(self, place: str) -> None:
        """This worker has no use for the account any more, and does not touch its cells. Where no
        other one has, another account may have its place."""
        area = self._known.pop(place, None)
        if isinstance(area, _Area):
            del self._places[area.index]
            with self._all_names():
                self._unuse(area.index)

    @property
    def speaks(self) -> bool:
        """Whether this worker speaks for its machine: the first that lives."""
        return not self.alive or self.number < self.alive[0]

    def accounts(self) -> Mapping[str, MachinesAccount]:
        """All that any worker here knows, by names that are the same on every machine."""
        names = self._names.tolist()
        return {f"{name:x}": self._area(index) for index, name in enumerate(names) if name}

    def _area(self, index: int) -> "_Area":
        area = self._by_index.get(index)
        if area is None:
            start = index * _AREA_BYTES
            area = _Area(self, index, self._areas[start : start + _AREA_BYTES])
            self._by_index[index] = area
        return area

    def lock(self, index: int) -> bool:
        """Be alone at one account; False: its holder is slow. One that stands still is not waited
        for: then all go on without."""
        for attempt in range(_TRIES):
            try:
                fcntl.lockf(self._locks, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, index)
            except (BlockingIOError, PermissionError):
                time.sleep(attempt * _PAUSE_S)
            else:
                self._stuck_since_s = None
                return True
        now_s = time.monotonic()
        if self._stuck_since_s is None:
            self._stuck_since_s = now_s
        return now_s - self._stuck_since_s > _STUCK_S

    def unlock(self, index: int) -> None:
        """Let the others."""
        fcntl.lockf(self._locks, fcntl.LOCK_UN, 1, index)

    def wake(self, number: int | None, index: int | None) -> None:
        """Have one worker look, or all; at one account, or who is there."""
        for one in self.alive if number is None else (number,):
            self._bells.ring(one, _TABLE if index is None else index)

    def _heard(self, index: int) -> None:
        if index == _TABLE:
            self.beat()
        place = self._places.get(index)
        if place is not None:
            self._on_wake(place)

    def _claim(self) -> None:
        """What a worker before us had under way here is over."""
        with self._all_names():
            for index, users in enumerate(self._users.tolist()):
                if users >> self.number & 1:
                    self._unuse(index)

    def _unuse(self, index: int) -> None:
        start = index * _AREA_BYTES + _NUMBERS_BYTES + 8 * SEAT * self.number
        self._areas[start : start + 8 * SEAT] = bytes(8 * SEAT)
        self._users[index] &= ~(1 << self.number)

    def _index(self, name: int) -> int | None:
        with self._all_names():
            index = self._found(name)
            if index is not None:
                self._users[index] |= 1 << self.number
                return index
        _log.warning("an account is not shared: there are too many", extra={"most": _ACCOUNTS})
        return None

    def _found(self, name: int) -> int | None:
        """The place of an account: its own, or one that was never used, or is no more."""
        names, users = self._names.tolist(), self._users.tolist()
        if name in names:
            return names.index(name)
        for index in sorted(range(_ACCOUNTS), key=lambda one: bool(names[one])):
            if not users[index]:
                start = index * _AREA_BYTES
                self._areas[start : start + _AREA_BYTES] = bytes(_AREA_BYTES)
                self._names[index] = name
                return index
        return None

    @contextmanager
    def _all_names(self) -> Iterator[None]:
        """Nobody else changes them, or who uses what, meanwhile."""
        while not self.lock(_TABLE):
            time.sleep(_PAUSE_S)
        try:
            yield
        finally:
            self.unlock(_TABLE)


class _Area:
    """One account's."""

    is_shared = True

    def __init__(self, board: AccountBoard, index: int, area: memoryview) -> None:
        self._board = board
        self.index = index
        self.numbers = area[:_NUMBERS_BYTES].cast("d")
        seats = area[_NUMBERS_BYTES : _NUMBERS_BYTES + _SEATS_BYTES].cast("d")
        self._seats = [seats[at : at + SEAT] for at in range(0, SEAT * SEATS, SEAT)]
        self.seat = self._seats[board.number]
        self.finishes = _Finishes(area[_NUMBERS_BYTES + _SEATS_BYTES :])
        self._alive: tuple[int, ...] = ()
        self._others: list[tuple[int, memoryview[float]]] = []

    def others(self) -> Sequence[tuple[int, "memoryview[float]"]]:
        """The seats of the other workers that live, by number."""
        alive = self._board.alive
        if alive is not self._alive:
            self._alive = alive
            self._others = [(number, self._seats[number]) for number in alive]
        return self._others

    def standing(self) -> tuple[int, int]:
        """What runs and what waits on this machine."""
        seats = [self.seat, *(seat for _, seat in self.others())]
        running, waiting = (sum(int(seat[at]) for seat in seats) for at in (RUNNING, WAITING))
        granted = sum(int(seat[GRANTS]) for seat in seats)
        return running + granted, waiting

    def tenants(self) -> Mapping[str, tuple[float, float]]:
        """By digest: weight, and all that was used."""
        return self.finishes.everybody()

    def split(self, parts: Mapping[str, float]) -> None:
        """The parts of tenants' weights that count here."""
        self.finishes.split_all(parts)

    def lock(self) -> bool:
        """Be alone at it."""
        return self._board.lock(self.index)

    def unlock(self) -> None:
        """Let the others."""
        self._board.unlock(self.index)

    def wake(self, number: int | None = None) -> None:
        """Have one worker look, or all."""
        self._board.wake(number, self.index)


class _Finishes:
    """Of the tenants of one account, by digests of their names. Beside each: its weight, what it
    has used, and which part of the weight counts on this machine."""

    def __init__(self, cells: memoryview) -> None:
        columns = [cells[at : at + 8 * _TENANTS] for at in range(0, 40 * _TENANTS, 8 * _TENANTS)]
        self._names = columns[0].cast("Q")
        self._finishes, self._weights, self._used, self._splits = (
            column.cast("d") for column in columns[1:]
        )
        self._known: dict[str, tuple[int, int]] = {}  # digest and place, as they were last

    def get(self, tenant: str) -> float:
        """Of one tenant."""
        place = self.place(tenant)
        return 0.0 if place is None else self._finishes[place]

    def put(self, tenant: str, finish: float) -> None:
        """In the place of who is least ahead, where there is none."""
        place = self.place(tenant)
        if place is None:
            finishes = self._finishes.tolist()
            place = finishes.index(min(finishes))
            self._names[place] = _digest(tenant)
            self._used[place] = self._splits[place] = 0.0
        self._finishes[place] = finish

    def used(self, tenant: str, weight: float, amount: float) -> None:
        """Of one that has a place."""
        place = self.place(tenant)
        if place is not None:
            self._weights[place] = weight
            self._used[place] += amount

    def everybody(self) -> dict[str, tuple[float, float]]:
        """Weight and use by digest."""
        found = zip(self._names.tolist(), self._weights.tolist(), self._used.tolist(), strict=True)
        return {f"{name:x}": (weight, used) for name, weight, used in found if name}

    def split(self, tenant: str) -> float:
        """The part of its weight that counts here; all of it where nothing was said."""
        place = self.place(tenant)
        return 1.0 if place is None else self._splits[place] or 1.0

    def split_all(self, parts: Mapping[str, float]) -> None:
        """By digest. Who is not named counts in full."""
        for place, name in enumerate(self._names.tolist()):
            if name:
                self._splits[place] = parts.get(f"{name:x}", 0.0)

    def at(self, place: int) -> float:
        """What stands there."""
        return self._finishes[place]

    def push(self, place: int, start: float, *, weight: float, amount: float) -> None:
        """One of whoever stands there goes from `start` on, with so much."""
        split = self._splits[place] or 1.0
        self._finishes[place] = max(0.0, start + amount / split)
        self._weights[place] = weight
        self._used[place] += amount

    def place(self, tenant: str) -> int | None:
        """Where a tenant's stands."""
        known = self._known.get(tenant)
        if known is not None and self._names[known[1]] == known[0]:
            return known[1]
        name = _digest(tenant) if known is None else known[0]
        names = self._names.tolist()
        if name not in names:
            return None
        if len(self._known) >= 2 * _TENANTS:
            self._known.clear()
        place = names.index(name)
        self._known[tenant] = name, place
        return place


def _digest(name: str) -> int:
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "little") | 1


def _opened(path: str) -> int:
    """The file, held for as long as the descriptor is open; made anew if nobody else holds it."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pass
    else:
        # Written and not only made longer: a full disk must show here, and not on a page's touch.
        for start in range(0, _SIZE, len(_CHUNK)):
            os.pwrite(file, _CHUNK[: _SIZE - start], start)
        os.pwrite(file, os.urandom(_MACHINE_BYTES), 0)
    fcntl.flock(file, fcntl.LOCK_SH)
    return file
