"""What must be so when all is well again and nothing has happened for a while."""

import asyncio

from tests.simulation.ledger import concerns
from tests.simulation.process import WHO
from tests.simulation.truth import REFUSED
from tollway.domain.hold import Hold, Outage, Rule, RuleSet
from tollway.domain.quota import NOTHING, Metric
from tollway.domain.window import UTC_ZONE, Period, window_at

# A lease (30 s), the last beat that is believed, and the ledger's last word.
DECIDED_S = 3.0  # by then nobody waits for a decision
AFTER_A_LOSS_S, ELSE_S = 45.0, 5.0


async def end(world):
    """Heal, end what runs, wait, and look."""
    world.faults_of.heal()
    await asyncio.sleep(DECIDED_S)
    for process in world.processes.values():
        for request in list(process.requests.values()):
            process.settle(request)
    hurt_s = world.wall_s() - world.faults_of.hurt_s
    await asyncio.sleep(AFTER_A_LOSS_S if hurt_s < 75 else ELSE_S)
    rules = [
        Rule(one, who.key if one.per else None, UTC_ZONE)
        for one in world.quotas
        for who in WHO
        if concerns(one, who.key if one.per else None, who)
    ]
    rules = list({rule.counter: rule for rule in rules}.values())
    for wait_s in (ELSE_S, 0.0):
        for rule in rules:
            await _probe(world, rule)
        await asyncio.sleep(wait_s)
    await asyncio.sleep(0.5)
    for keeper in world.keepers.values():
        keeper.ship()
    for process in world.processes.values():
        assert not process.store.unsaid, "something was not said"
        for rule in rules:
            await _check(world, process, rule)
    _check_ledger(world)
    leases = [key for key in world.server.data.scan() if key.endswith("leases")]
    over = [said for one in world.requests.values() for said in one.said if said.expired]
    world.faults["lease over"] += len(over)
    # I4: nothing is held.
    assert not leases, f"I4: {leases}"


def _check_ledger(world):
    """I2, I3, I6: a row for each request that was let in, with what it used, whoever ended it; and
    what was once read in the ledger stands there still."""
    rows = world.ledger.rows
    assert rows[: len(world.read)] == world.read, "I6: rows have changed"
    billed = {row.id: row.used for row in rows}
    used = {id_: one.used for id_, one in world.requests.items() if one.state != REFUSED}
    assert len(rows) == len(billed), "I2: two outcomes"
    assert billed == used, f"I3: {dict(billed.items() ^ used.items())}"


async def _probe(world, rule):
    """Ask for nothing on it, so that it is counted: by anyone."""
    process = world.processes[world.chance.choice(list(world.processes))]
    request, task = process.probe(Hold(RuleSet([rule]), 0, strict=NOTHING, bounded=NOTHING))
    await task
    assert not isinstance(request.decision, Outage), f"nobody decides on {rule.counter}"
    if request.decision is None:
        process.void(request)
    rule.cell = None


async def _check(world, process, rule):
    at_s = int(world.wall_s())
    stand = await process.do(process.store.look(Rule(rule.quota, rule.member, UTC_ZONE), at_s))
    window = window_at(rule.quota.period, UTC_ZONE, at_s)
    found = world.ledger.used(rule.quota, rule.member, window)
    if stand is None:  # the window has turned since we asked
        assert not sum(found.values()), f"I5: {rule.counter} is not counted"
        return
    assert stand.held == 0, f"I4: {stand.held} held on {rule.counter}"
    if rule.quota.metric is Metric.CONCURRENCY:
        assert stand.used == 0, f"I4: {stand.used} of {rule.counter}"
        return
    if rule.quota.period is not Period.MINUTE:
        # I5
        used = sum(found.values())
        assert stand.used == used, f"I5: {rule.counter}: {stand.used}, in the ledger {used}"
        return
    # The server's seconds and a gateway's are not the same, nor is one bucket then; and it is that
    # of the decision, which may be later than the request.
    least = sum(amount for begin_s, amount in found.items() if at_s < begin_s + 60)
    most = sum(
        row.used[rule.metric]
        for row in world.ledger.rows
        if at_s < row.in_s + 80 and concerns(rule.quota, rule.member, row.who)
    )
    assert least <= stand.used <= most, f"I5: {rule.counter}: {stand.used}, {least} to {most}"
