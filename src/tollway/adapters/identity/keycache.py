"""An issuer's keys, kept: looked up without waiting, fetched by a thread. A key id nobody knows
makes at most one fetch each ten seconds, whoever sends it; the last good keys serve for a day.
"""

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from threading import Lock, Thread
from typing import Any

from tollway.adapters.identity.discovery import KEEP_S, RETRY_S, Discovery
from tollway.adapters.identity.fetching import Fetcher, FetchError
from tollway.adapters.identity.keyset import KeySet, PublicKey
from tollway.app.ports import Clock
from tollway.domain.gateway_jwt import KEPT_S

_log = logging.getLogger(__name__)

Source = Callable[[], Mapping[str, Any]]  # the key set's document; blocks, raises FetchError


class KeyCache:
    """One issuer's keys."""

    def __init__(self, issuer: str, source: Source, clock: Clock) -> None:
        self._issuer = issuer
        self._source = source
        self._clock = clock
        self._keys: KeySet | None = None
        self._fetched_s = 0.0
        self._tried_s = -RETRY_S
        self._running: Future[None] | None = None
        self._lock = Lock()

    @property
    def usable(self) -> bool:
        """Whether there are keys, not older than a day."""
        return self._keys is not None and self._clock.monotonic() - self._fetched_s < KEEP_S

    def find(self, algorithm: str, key_id: str | None) -> PublicKey | None:
        """The key a token means, among those at hand. Old keys are renewed behind it."""
        keys = self._keys
        age_s = self._clock.monotonic() - self._fetched_s
        if keys is None or age_s >= KEEP_S:
            return None
        if age_s >= KEPT_S:
            self.renew()
        return keys.find(algorithm, key_id)

    def renew(self) -> "Future[None] | None":
        """Fetches the keys in a thread. A future that is done afterwards, whatever came of it;
        None when the last try was less than ten seconds ago. Does not block."""
        with self._lock:
            if self._running is not None:
                return self._running
            now_s = self._clock.monotonic()
            if now_s - self._tried_s < RETRY_S:
                return None
            self._tried_s = now_s
            running: Future[None] = Future()
            self._running = running
        Thread(target=self._fetch, args=(running,), name="issuer-keys", daemon=True).start()
        return running

    def _fetch(self, running: "Future[None]") -> None:
        try:
            self._keys = KeySet(self._source())
            self._fetched_s = self._clock.monotonic()
        except (FetchError, ValueError) as error:
            _log.warning("The keys of %s cannot be renewed: %s", self._issuer, error)
        finally:
            with self._lock:
                self._running = None
            running.set_result(None)


def key_source(
    fetcher: Fetcher, *, discovery: Discovery | None = None, jwks_url: str = ""
) -> Source:
    """The document at `jwks_url`, or where discovery says."""

    def fetch() -> Mapping[str, Any]:
        url = jwks_url or (discovery.metadata().jwks_uri if discovery is not None else "")
        answer = fetcher.get(url)
        if answer.status != 200:
            raise FetchError(f"{url}: answered {answer.status}")
        return answer.document

    return fetch
