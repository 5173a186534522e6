"""What would become of a request, phase by phase, without asking a provider: the same functions in
the same order as `serve.py`, but nothing is counted, held, journalled or sent.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from tollway.app.gateway.admit import WRONG_KEY, find_model, read_labels
from tollway.app.gateway.exchange import Exchange, Inbound
from tollway.app.gateway.kept import open_kept
from tollway.app.gateway.parse import parse
from tollway.app.gateway.plan import plan
from tollway.app.gateway.recall import scope_of
from tollway.app.gateway.reserve import attempt_rules
from tollway.app.gateway.runtime import Gateway
from tollway.app.gateway.screen import screen
from tollway.app.gateway.sizing import expected_nusd, size_hold
from tollway.app.ports import Header, StoreUnavailableError
from tollway.dialects.endpoint import Endpoint
from tollway.dialects.registry import carrier_for
from tollway.domain.access import Principal, find_principal, may_call
from tollway.domain.allowance import limit_text
from tollway.domain.hold import CounterRef, Hold, Rule, RuleSet, Stand
from tollway.domain.ids import KeyId
from tollway.domain.key import is_live
from tollway.domain.model import Target
from tollway.domain.provider import ProviderKind, ProviderRecord
from tollway.domain.quota import Metric
from tollway.domain.refusal import BadRequest, QuotaExceeded, Refusal
from tollway.domain.vertex import NO_PUBLISHER, vertex_model
from tollway.domain.window import FOREVER_S, Window, frees_s

_NS = 1_000_000_000


class Asked(NamedTuple):
    """Whose request it would be, and what it is. `peer_ip` and headers as a client would have
    them."""

    key_id: KeyId
    endpoint: Endpoint
    body: bytes
    headers: tuple[Header, ...] = ()
    peer_ip: str | None = None


class LimitFound(NamedTuple):
    """One limit of the request. `used` and `held` of its counter now, None where it cannot be
    had; `asks` what the request would hold; `owner` None: the platform's; `binds`: it refuses."""

    id: str
    owner: str | None
    text: str
    scope: str
    metric: str
    period: str
    shadow: bool
    limit: int
    used: int | None
    held: int | None
    asks: int
    resets_s: int | None
    binds: bool


class TargetFound(NamedTuple):
    """One target in the order it would be tried; `cost_nusd` is expected, None: not priced.
    `problem` is why it would be passed over."""

    provider_id: str
    provider: str
    owner: str | None
    kind: str
    model: str
    reason: str
    cost_nusd: int | None
    running: int
    waiting: int
    problem: str | None
    limits: tuple[LimitFound, ...]


class Explanation(NamedTuple):
    """`refused` is the first no, in the phase `at`; what comes after it is not known."""

    principal: dict[str, str | None] | None
    model: dict[str, str | list[str]] | None
    cache: str | None
    limits: tuple[LimitFound, ...]
    targets: tuple[TargetFound, ...]
    at: str | None
    refused: Refusal | None


class _Nobody:
    """A client that gets no answer."""

    gone = congested = False


async def explain(gateway: Gateway, asked: Asked) -> Explanation:
    """Never raises for what is asked."""
    return await _Walk(gateway, asked).through()


class _Walk:
    def __init__(self, gateway: Gateway, asked: Asked) -> None:
        self._gateway = gateway
        self._asked = asked
        self._now_ns = gateway.clock.wall_ns()
        inbound = Inbound(asked.endpoint, asked.headers, asked.body, asked.peer_ip or "")
        nobody: Any = _Nobody()
        self._snapshot = gateway.source.current
        self._exchange = Exchange(
            inbound,
            nobody,
            snapshot=self._snapshot,
            request_id="",
            started_ns=self._now_ns,
        )
        self._principal: dict[str, str | None] | None = None
        self._model: dict[str, str | list[str]] | None = None
        self._cache: str | None = None

    async def through(self) -> Explanation:
        exchange, gateway = self._exchange, self._gateway
        phases: tuple[tuple[str, Callable[[], Refusal | None]], ...] = (
            ("parse", lambda: parse(exchange)),
            ("admit", self._admit),
            ("screen", lambda: screen(gateway, exchange)),
            ("recall", self._recall),
            ("plan", self._plan),
        )
        for at, phase in phases:
            refused = phase()
            if refused is not None:
                return self._told(at, refused)
        assert exchange.principal is not None, "it was admitted"
        rules = gateway.limits.of_request(
            self._snapshot,
            exchange.principal,
            exchange.model,
            end_user=exchange.labels.end_user,
        )
        limits, refused = await self._judge(rules, exchange.targets)
        targets = tuple(
            [await self._target(rank, *served) for rank, served in enumerate(exchange.targets)]
        )
        at = "reserve"
        if refused is None and all(one.problem is not None for one in targets):
            at, refused = "attempt", await self._last_problem()
        return self._told(at, refused, limits, targets)

    def _told(
        self,
        at: str,
        refused: Refusal | None,
        limits: tuple[LimitFound, ...] = (),
        targets: tuple[TargetFound, ...] = (),
    ) -> Explanation:
        found = None if refused is None else at
        return Explanation(
            self._principal, self._model, self._cache, limits, targets, found, refused
        )

    def _admit(self) -> Refusal | None:
        """As `admit.py`, but for the secret: whoever asks may see the key."""
        exchange, snapshot, asked = self._exchange, self._snapshot, self._asked
        record = snapshot.keys.get(asked.key_id)
        principal = None if record is None else find_principal(snapshot, record)
        if principal is None or not is_live(principal.key, self._now_ns / _NS):
            return WRONG_KEY
        exchange.principal, exchange.facts = principal, dict(asked.headers)
        self._principal = _shown(principal)
        if asked.peer_ip is None:  # from wherever it may be used
            principal = replace(principal, key=replace(principal.key, ip_allow=None))
        refusal = may_call(principal, asked.endpoint.name, asked.peer_ip or "")
        refusal = refusal or open_kept(self._gateway, exchange)
        if refusal is not None:
            return refusal
        labels = read_labels(exchange.facts, exchange.ask.end_user, principal.key)
        if isinstance(labels, BadRequest):
            return labels
        exchange.labels = labels
        self._principal["end_user"] = labels.end_user
        refusal = find_model(exchange, principal)
        if refusal is not None:
            return refusal
        model = exchange.model
        self._model = {"id": model.id, "name": model.name, "strategy": model.strategy.value}
        return None

    def _recall(self) -> None:
        cache, exchange = self._gateway.cache, self._exchange
        if not cache.enabled:
            self._cache = "off"
        elif exchange.ask.stream:
            self._cache = "bypass"
        else:
            hit = cache.look_up(scope_of(exchange), exchange.inbound.body)
            self._cache = "miss" if hit is None else "hit"

    def _plan(self) -> Refusal | None:
        turns, model_id = self._gateway.turns, self._exchange.model.id
        before = turns.get(model_id)
        refusal = plan(self._gateway, self._exchange, looking=True)
        assert self._model is not None, "it was admitted"
        self._model["fallbacks"] = [model.name for model in self._exchange.fallbacks]
        if before is None:
            turns.pop(model_id, None)
        else:
            turns[model_id] = before
        return refusal

    async def _judge(
        self, rules: RuleSet, targets: Sequence[tuple[Target, ProviderRecord]]
    ) -> tuple[tuple[LimitFound, ...], Refusal | None]:
        """Each limit as it stands, and the refusal if one of them would."""
        if not rules.rules:
            return (), None
        hold = size_hold(self._gateway, self._exchange, rules, targets=targets)
        if isinstance(hold, BadRequest):
            found = [await self._limit(rule, None) for rule in rules.rules]
            return tuple(found), hold
        limits = tuple([await self._limit(rule, hold) for rule in rules.rules])
        for limit in limits:
            if limit.binds:
                exhausted = limit.period in ("day", "month", "total")
                wait_s = None if limit.resets_s is None else limit.resets_s - self._now_ns / _NS
                message = f"The limit of {limit.text} is reached."
                return limits, QuotaExceeded(message, exhausted, wait_s)
        return limits, None

    async def _limit(self, rule: Rule, hold: Hold | None) -> LimitFound:
        quota, at_s = rule.quota, self._now_ns // _NS
        asks = 0
        if hold is not None:
            asks = (hold.strict if rule.strict else hold.bounded)[rule.metric]
        stand = await self._stand(rule, at_s)
        limit = rule.limit_at(at_s)
        if hold is not None and not rule.strict and stand is not None and not stand.used:
            asks = min(asks, limit)  # whoever has used nothing is let in, whatever is guessed
        full = stand is not None and stand.used + stand.held + asks > limit
        window = Window(rule.start_s, rule.end_s)
        resets_s = stand.frees_s if stand is not None else frees_s(quota.period, window)
        return LimitFound(
            quota.id,
            quota.tenant_id,
            limit_text(rule, limit),
            quota.scope.value,
            quota.metric.value,
            quota.period.value,
            rule.shadow,
            limit,
            None if stand is None else stand.used,
            None if stand is None else stand.held,
            asks,
            None if resets_s >= FOREVER_S or quota.metric is Metric.CONCURRENCY else resets_s,
            full and not rule.shadow,
        )

    async def _stand(self, rule: Rule, at_s: int) -> Stand | None:
        """By the counter; where nobody counts on it yet, by the ledger."""
        stand = await self._gateway.quotas.look(rule, at_s)
        counting = self._gateway.counting
        if stand is not None or counting is None:
            return stand
        rule.turn(at_s)
        ref = CounterRef(rule.quota, rule.member, Window(rule.start_s, rule.end_s))
        try:
            counted = await counting.count([ref])
        except StoreUnavailableError:
            return None
        used, foreign = sum(counted.used[0].values()), counted.foreign[0]
        return Stand(used, foreign, frees_s(rule.quota.period, ref.window))

    async def _target(self, rank: int, target: Target, provider: ProviderRecord) -> TargetFound:
        gateway, exchange = self._gateway, self._exchange
        rules = attempt_rules(gateway, exchange, provider)
        limits, refused = await self._judge(rules, [(target, provider)])
        credential = provider.credentials[0] if provider.credentials else None
        account = gateway.accounts.get(provider, credential, target.model)
        problem = None if refused is None else _why(refused)
        if carrier_for(exchange.inbound.endpoint, provider.kind, target.model) is None:
            problem = _unserved(target, provider)
        return TargetFound(
            provider.id,
            provider.name,
            provider.tenant_id,
            provider.kind.value,
            target.model,
            self._reason(rank, target, provider),
            expected_nusd(gateway, exchange, (target, provider)),
            account.running,
            account.waiting,
            problem,
            limits,
        )

    def _reason(self, rank: int, target: Target, provider: ProviderRecord) -> str:
        place = "first" if rank == 0 else f"number {rank + 1}"
        health = self._gateway.health.get((provider.id, target.model))
        ejected = health is not None and health.ejected_until_s is not None
        ailing = ", last: it did not answer lately" if ejected else ""
        return f"{self._exchange.model.strategy.value}: {place}{ailing}"

    async def _last_problem(self) -> Refusal | None:
        exchange = self._exchange
        target, provider = exchange.targets[-1]
        rules = attempt_rules(self._gateway, exchange, provider)
        refused = (await self._judge(rules, [(target, provider)]))[1]
        return refused or BadRequest(
            f"The model '{exchange.model.name}' is not served at this endpoint.",
            "unsupported_endpoint",
            "model",
        )


def _unserved(target: Target, provider: ProviderRecord) -> str:
    if provider.kind is not ProviderKind.VERTEX:
        return f"A provider of the kind {provider.kind.value} does not serve this endpoint."
    if vertex_model(target.model) is None:
        return f"{target.model!r} does not say whose it is. {NO_PUBLISHER}"
    return f"A provider of the kind vertex does not serve {target.model!r} at this endpoint."


def _why(refused: Refusal) -> str:
    return getattr(refused, "message", "") or type(refused).__name__


def _shown(principal: Principal) -> dict[str, str | None]:
    return {
        "tenant_id": principal.tenant_id,
        "key_id": principal.key_id,
        "project_id": principal.project_id,
        "account_id": principal.account_id,
    }
