"""What goes wrong, one function for each kind. Most of it ends by itself after a while, in virtual
time; `heal` ends all of it.
"""

from tests.simulation.truth import RUNNING

KINDS = (
    *("slow link", "silent link", "mute link", "cut", "link down", "restart", "failover", "crash"),
    *("machine away", "freeze", "slow keeper", "ledger away", "slow shipping", "stop", "reopen"),
    *("lost request", "late request", "lost reply", "local share", "lease over"),
)
GRACE_S = 44.0  # an owner that was silent for longer is not known any more when data is lost


class Faults:
    """Done to a world. `lost_s`: when data was lost, the last time; `hurt_s`: when anything was
    done last that leases or counters need time to get over."""

    def __init__(self, world):
        self._world = world
        self._chance = world.chance
        self.lost_s = self.hurt_s = -1e9
        self._kinds = (
            (self.slow_link, 3),
            (self.silent_link, 3),
            (self.mute_link, 3),
            (self.cut, 3),
            (self.link_down, 3),
            (self.restart, 2),
            (self.failover, 2),
            (self.crash, 3),
            (self.machine_away, 1),
            (self.freeze, 3),
            (self.slow_keeper, 2),
            (self.ledger_away, 2),
            (self.slow_shipping, 2),
            (self.stop, 2),
        )

    def strike(self):
        """One of them."""
        kinds = [kind for kind, _ in self._kinds]
        (kind,) = self._chance.choices(kinds, [weight for _, weight in self._kinds])
        if kind() is not False:
            self._world.count(kind.__name__.replace("_", " "))

    # The link.

    def slow_link(self):
        way = self._way()
        way.delay_s = self._chance.uniform(0.01, 0.3)
        self._later(1, 10, lambda: setattr(way, "delay_s", 0.0005))

    def silent_link(self):
        way = self._way()
        way.silent = True
        self._later(0.05, 6, lambda: setattr(way, "silent", False))

    def mute_link(self):
        way = self._way()
        way.mute = True
        self._later(0.05, 6, lambda: setattr(way, "mute", False))

    def cut(self):
        self._way().cut()

    def link_down(self):
        way = self._way()
        way.down = True
        way.cut()
        self._hurt()
        self._later(0.5, 20, lambda: setattr(way, "down", False))

    # The server.

    def restart(self):
        return self._lose(self._world.server.lose_all)

    def failover(self):
        self._world.checks.rolled_back = True
        return self._lose(self._world.server.fall_back)

    # Gateways.

    def crash(self):
        slot = self._alive()
        if slot is None:
            return False
        self._kill(slot)
        self._later(0.2, 20, lambda: self._back(slot))
        return True

    def machine_away(self):
        """Its keeper too, so that nobody ships what was journalled there."""
        world = self._world
        keeper = world.keepers["b"]
        if not keeper.is_up:
            return False
        keeper.is_up = False
        if not world.processes["b/0"].gone:
            self._kill("b/0")

        def back():
            keeper.is_up = True
            self._back("b/0")

        self._later(20, 90, back)
        return True

    def freeze(self):
        slot = self._alive()
        if slot is None:
            return False
        process = self._world.processes[slot]
        self._world.loop.halt(process)
        self._hurt()
        shortest_s, longest_s = self._chance.choice(((0.2, 5), (31, 70)))
        self._later(shortest_s, longest_s, lambda: self._go_on(process))
        return True

    def stop(self):
        """What runs ends, it says good-bye, and another one starts later."""
        slot = self._alive()
        if slot is None:
            return False
        process = self._world.processes[slot]
        process.leaves = True
        for request in list(process.requests.values()):
            process.settle(request)

        def gone(_):
            if not process.gone:
                process.kill()
            # What was decided while it said good-bye is told by nobody: a lease ends it.
            requests = [one for one in self._world.requests.values() if one.process is process]
            if any(said.run and said.outcome is None for one in requests for said in one.said):
                self._hurt()

        process.do(process.store.close()).add_done_callback(gone)
        self._later(3, 20, lambda: self._back(slot))
        return True

    def reopen(self):
        """An operator gives up what those hold who are away, if there are such."""
        for process in self._world.processes.values():
            store = process.store
            if process.works(self._world.loop) and store.absent and store.reachable:
                process.do(store.reopen())
                self._excuse(given_up=True)
                self._world.count("reopen")
                return

    # The ledger.

    def slow_keeper(self):
        keeper = self._world.keepers[self._chance.choice("ab")]
        keeper.slow_s = self._chance.uniform(0.3, 1.5)
        self._later(2, 10, lambda: setattr(keeper, "slow_s", 0.005))

    def ledger_away(self):
        self._world.ledger.away = True
        self._later(0.5, 10, lambda: setattr(self._world.ledger, "away", False))

    def slow_shipping(self):
        self._world.ship_s = self._chance.uniform(5, 20)
        self._later(10, 30, lambda: setattr(self._world, "ship_s", 1.0))

    # All over.

    def heal(self):
        """Everything is as it should be, and everybody is there."""
        world = self._world
        world.server.is_up, world.ledger.away, world.ship_s = True, False, 1.0
        for keeper in world.keepers.values():
            keeper.is_up, keeper.slow_s = True, 0.005
        for slot, process in list(world.processes.items()):
            self._go_on(process)
            if process.leaves and not process.gone:
                process.kill()
            way = process.way
            way.silent = way.mute = way.down = False
            way.delay_s = 0.0005
            self._back(slot)

    def ended(self):
        """A gateway has the counters begin again. Who is away is not in the new epoch yet."""
        self.lost_s = self._world.wall_s()
        self._hurt()

    def lost(self):
        """The first is let in after a loss: what is known of gateways that are away is no more. For
        strict limits they are waited for, if they were there shortly before (design, 4.3)."""
        self._excuse(given_up=False)

    # Inside.

    def _excuse(self, *, given_up):
        world = self._world
        for request in world.requests.values():
            source = request.process.journal.source
            if (world.checks.epoch, source) in world.checks.joined:
                continue
            if request.state != RUNNING and request.id in world.ledger.ids:
                continue
            known = world.checks.beats.get(source, -1e9) > self.lost_s - GRACE_S
            # A newcomer that comes first after a loss knows nobody; who comes next tells it.
            known = known and not world.checks.newcomer and not given_up
            for said in request.said:
                for entry in said.entries:
                    if not (known and entry.line.rule.strict):
                        world.checks.accounts[entry.line.place.key].excuse(entry)

    def _way(self):
        return self._world.processes[self._chance.choice(list(self._world.processes))].way

    def _alive(self):
        world = self._world
        found = [slot for slot, process in world.processes.items() if process.works(world.loop)]
        return self._chance.choice(found) if len(found) > 1 else None

    def _kill(self, slot):
        self._hurt()
        self._world.processes[slot].kill()

    def _back(self, slot):
        world = self._world
        if world.processes[slot].gone and world.keepers[slot[0]].is_up:
            world.start(slot)

    def _go_on(self, process):
        if not process.gone and process in self._world.loop.halted:
            self._hurt()
            self._world.loop.go_on(process)

    def _lose(self, loss):
        world = self._world
        if not world.server.is_up or loss() is False:
            return False
        self.lost_s = world.wall_s()
        self._hurt()
        world.server.is_up = False
        for process in world.processes.values():
            process.way.cut()
        self._later(0.02, 2, lambda: setattr(world.server, "is_up", True))
        return True

    def _hurt(self):
        self.hurt_s = self._world.wall_s()

    def _later(self, shortest_s, longest_s, end):
        self._world.loop.call_later(self._chance.uniform(shortest_s, longest_s), end)
