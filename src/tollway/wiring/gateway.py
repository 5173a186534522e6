"""A worker's parts: the pipeline on its ports, the server in front of it."""

import asyncio
import logging
import os
import ssl
import time
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from tollway.adapters.control.account_board import SEATS, AccountBoard
from tollway.adapters.control.client import ControlError, ask
from tollway.adapters.control.counting import KeeperCounting
from tollway.adapters.control.price_file import FilePriceSource
from tollway.adapters.control.snapshot_file import FileSnapshotSource
from tollway.adapters.disk.answers import DiskAnswers
from tollway.adapters.disk.notes import DiskNotes
from tollway.adapters.echo.upstream import EchoUpstream
from tollway.adapters.http.upstream import HttpUpstream
from tollway.adapters.journal.opening import open_journal
from tollway.adapters.journal.slots import RECOVERY_S, acquire_slot
from tollway.adapters.memory.cache import MemoryResponseCache
from tollway.adapters.memory.quota import MemoryQuotaStore
from tollway.adapters.prometheus.tally import Tally
from tollway.adapters.system.clock import SystemClock
from tollway.adapters.system.sealing import SivSealing
from tollway.app.gateway.issued import IssuedRing
from tollway.app.gateway.machines import Exchange, Machines
from tollway.app.gateway.newcomers import Newcomers
from tollway.app.gateway.request_ids import RequestIds
from tollway.app.gateway.running import Running
from tollway.app.gateway.runtime import Gateway
from tollway.app.gateway.sharing import Accounts
from tollway.app.jobs.follow import Following
from tollway.app.jobs.probe import Probing
from tollway.app.ports import SecretBox, SecretError, StoreUnavailableError
from tollway.app.ports_identity import JwtVerifier
from tollway.app.pricing import Pricing
from tollway.config import Settings, SettingsError
from tollway.dialects.registry import ENDPOINTS
from tollway.domain.brand import COMMAND
from tollway.domain.provider import ProviderKind
from tollway.web.gateway.handler import GatewayHandler
from tollway.web.gateway.server import GatewayServer
from tollway.web.gateway.tls import server_tls
from tollway.wiring.master_key import master_box
from tollway.wiring.options import (
    answers_dir,
    echo_options,
    gateway_options,
    journal_options,
    notes_dir,
    server_options,
    upstream_options,
)

_log = logging.getLogger(__name__)
_NEWS_TIMEOUT_S = 1.0
_BEAT_S = 0.25
KEEPER_SOCKET = "keeper.sock"


class Worker:
    """One worker's parts, as its process drives them. Must be made inside the running loop.

    `succeeds`: a predecessor is finishing and keeps its journal slot, so waiting for it is no use.
    """

    def __init__(self, settings: Settings, index: int, *, succeeds: bool = False) -> None:
        clock = SystemClock()
        wait_s = 0.0 if succeeds else RECOVERY_S
        lock = acquire_slot(Path(settings.journal_dir), index, wait_s=wait_s)
        if lock is None:
            raise SettingsError("Every journal slot is in use by another process.")
        self._lock = lock
        self.slot = lock.slot
        self.journal = open_journal(lock, journal_options(settings))
        box = master_box(settings)
        self._http = _http(settings, box)
        self.source = FileSnapshotSource(settings.run_dir, box)
        self.source.refresh()
        self._refreshing = asyncio.Lock()
        self._keeper = os.path.join(settings.run_dir, KEEPER_SOCKET)
        self._cuts = settings.revoked_streams == "cut"
        self._clock = clock
        self.tally = Tally()
        self.prices = Pricing(FilePriceSource(settings.run_dir))
        self._board = _board(settings, self.slot)
        running = Running()
        counting = KeeperCounting(
            self._keeper, self.slot, lock.source, shared=settings.redis_url is not None
        )
        self._local, self._shared = self._counters(settings, running, counting)
        self.gateway = Gateway(
            clock=clock,
            source=self.source,
            upstreams={
                **dict.fromkeys(ProviderKind, self._http),
                ProviderKind.ECHO: EchoUpstream(clock, echo_options(settings)),
            },
            journal=self.journal,
            quotas=self._shared or self._local,
            cache=MemoryResponseCache(),
            guards=(),
            observers=[self.tally],
            request_ids=RequestIds(os.urandom, _day_text),
            sealing=SivSealing(),
            issued=IssuedRing(_verifier(settings, clock)),
            newcomers=Newcomers(self._ask_for_news),
            new_models=Newcomers(self._ask_for_news),
            running=running,
            accounts=Accounts(self._board),
            prices=self.prices,
            counting=counting,
            answers=DiskAnswers(answers_dir(settings), box),
            notes=DiskNotes(notes_dir(settings)),
            options=gateway_options(settings),
        )
        self._exchange = self._meeting()
        self._following = Following(self.gateway)
        self._probing = Probing(self.gateway) if settings.probes == "free" else None
        self.server = GatewayServer(
            GatewayHandler(self.gateway, settings.body_bytes, _uploads(settings)),
            server_options(settings),
        )
        self.tls: ssl.SSLContext | None = None
        if settings.tls_cert_file is not None:
            self.tls = server_tls(settings.tls_cert_file, settings.tls_key_file)

    def _counters(
        self, settings: Settings, running: Running, counting: KeeperCounting
    ) -> tuple[MemoryQuotaStore, Any]:
        """The counters in memory, and those that are shared, if a server for them is named."""
        shared = settings.redis_url is not None
        facts: dict[str, Any] = {
            "written": lambda: self.journal.written,
            "running_since_s": running.oldest_s,
        }
        local = MemoryQuotaStore(self._clock, counting, **facts)
        if not shared:
            return local, None
        try:
            module = import_module("tollway.wiring.shared_counters")
        except ModuleNotFoundError as error:
            raise SettingsError(
                f'TOLLWAY_REDIS_URL needs a driver. Install it: pip install "{COMMAND}[redis]"'
            ) from error
        try:
            return local, module.open_store(
                settings.redis_url,
                self._lock,
                lease_s=settings.redis_lease_s,
                clock=self._clock,
                counting=counting,
                **facts,
            )
        except ValueError as error:
            raise SettingsError(
                "TOLLWAY_REDIS_URL is no address of a server: write redis://host:6379/0, "
                f"rediss://user:password@host:6379/0 or unix:///path. ({error})"
            ) from error

    def _meeting(self) -> Exchange | None:
        """Where machines tell each other of accounts, if there is a server for that."""
        if self._board is None or self._shared is None:
            return None
        machine = self._board.machine
        return Exchange(Machines(self._board, machine), self._shared.reports(machine))

    def metrics(self) -> dict[str, Any]:
        """What this process has counted so far."""
        reached = [[quota, why, count] for (quota, why), count in self.gateway.limited.items()]
        store = self._shared or self._local
        shadowed = [[quota, "shadow", count] for quota, count in store.shadowed.items()]
        shares = 0 if self._shared is None else self._shared.shared_out
        return {
            **self.tally.collect(),
            "limits": reached + shadowed,
            "shares": [[shares]],
        }

    def gauges(self) -> dict[str, float]:
        """How it stands right now."""
        counting = self._shared is None or self._shared.reachable
        absent = 0 if self._shared is None else self._shared.absent
        return {
            "tollway_workers_counting": float(counting),
            "tollway_workers_waiting_for_gateways": float(absent > 0),
        }

    async def reopen(self) -> bool:
        """Strict limits wait no more for gateways that are away; False: it cannot be said now."""
        return self._shared is None or await self._shared.reopen()

    async def open(self) -> None:
        """Before the first request. A server of counters that is away is waited for a little, and
        then tried again in the background. Raises SettingsError for one that would lose them."""
        if self._board is not None:
            self._board.open(self.gateway.accounts.look)
        if self._shared is None:
            return
        try:
            reached = await self._shared.start()
        except ValueError as error:
            raise SettingsError(f"TOLLWAY_REDIS_URL: {error}") from error
        if not reached:
            _log.error("the server of shared counters is away; limits answer by their on_outage")

    async def keep_exact(self) -> None:
        """Forever: what counters in memory need now and then. Shared ones see to themselves."""
        if self._shared is None:
            await self._local.keep_exact()

    async def keep_accounts(self) -> None:
        """Forever: say to the other workers how it stands at providers' accounts."""
        while self._board is not None:
            await asyncio.sleep(_BEAT_S)
            self._board.beat()
            self.gateway.accounts.look()
            if self._exchange is not None and self._board.speaks:
                await self._exchange.turn()

    async def keep_probing(self) -> None:
        """Forever: ask ejected targets for something free, if that is wanted."""
        if self._probing is not None:
            await self._probing.run()

    async def keep_following(self) -> None:
        """Forever: ask for answers in the background that a worker here has left behind."""
        await self._following.run()

    def hand_over(self, keys: list[tuple[str, int]]) -> list[int]:
        """A successor counts on from here: what is still held on these counters."""
        return self._local.hand_over(keys)

    async def refresh(self) -> None:
        """Serve the newest configuration; taking it over must not hold up the loop. Then the
        streams end of those who may not go on. Raises SecretError."""
        async with self._refreshing:
            before = self.source.current
            for _ in self.source.steps():
                await asyncio.sleep(0)
            now = self.source.current
            if now is not before and self._cuts:
                await self.gateway.running.cut_revoked(now, self._clock.wall_ns() / 1e9)

    def renew_prices(self) -> None:
        """Take up new prices, where they are needed at all. What cannot be read stays as it is."""
        if self.prices.in_use:
            with suppress(StoreUnavailableError):
                self.prices.renew()

    async def _ask_for_news(self) -> None:
        """Have the keeper look for what is new at once. Without a keeper all goes on as it is."""
        try:
            await ask(self._keeper, "publish", timeout_s=_NEWS_TIMEOUT_S)
        except ControlError as error:
            _log.debug("the keeper does not say what is new", extra={"error": str(error)})
        try:
            # Also after no answer: it may have published already, and wait for another worker.
            await self.refresh()
        except (SecretError, OSError) as error:
            _log.debug("nothing new could be had", extra={"error": str(error)})

    def leave(self) -> None:
        """The drain begins: connections to providers are not kept any more."""
        self._http.drain()

    async def close(self) -> None:
        """After the last request was settled."""
        if self._exchange is not None and self._board is not None and not self._board.alive:
            await self._exchange.leave()
        if self._shared is not None:
            await self._shared.close()
        await self._http.close()
        if self._board is not None:
            self._board.close()
        self.journal.close()
        self._lock.release()


def _http(settings: Settings, box: SecretBox) -> HttpUpstream:
    try:
        return HttpUpstream(upstream_options(settings), box)
    except ValueError as error:
        raise SettingsError(f"The settings of the way to providers are wrong: {error}") from error


def _board(settings: Settings, slot: int) -> AccountBoard | None:
    """What this machine's workers share of providers' accounts; None: each is alone."""
    if slot >= SEATS:
        return None
    try:
        return AccountBoard(settings.run_dir, slot)
    except OSError as error:
        _log.error("workers do not share providers' accounts", extra={"error": str(error)})
        return None


def _verifier(settings: Settings, clock: SystemClock) -> JwtVerifier | None:
    """Who judges JWTs; None where no issuer is believed, and then nothing of it is loaded."""
    if not settings.jwt:
        return None
    verifier: JwtVerifier = import_module("tollway.wiring.issuers").build_verifier(settings, clock)
    return verifier


def _uploads(settings: Settings) -> dict[bytes, int]:
    """How large a form with files may be, by path."""
    forms = (path for path, endpoint in ENDPOINTS.items() if endpoint.file is not None)
    return dict.fromkeys(forms, settings.upload_bytes)


def _day_text(day: int) -> str:
    return time.strftime("%Y%m%d", time.gmtime(day * 86_400))
