"""The admin process's parts: the control plane on SQL, and a way to tell the keeper what is new."""

import logging
import os

from fastapi import FastAPI

from tollway.adapters.control.client import ControlError, ask_now
from tollway.adapters.control.explaining import WorkerExplainer
from tollway.adapters.control.standing import WorkerStands
from tollway.adapters.http.probe import HttpProbe
from tollway.adapters.identity.fetching import Fetcher
from tollway.adapters.identity.openid import OpenIdProvider
from tollway.adapters.identity.passwords import Argon2Hasher
from tollway.adapters.sql.counting import SqlCounts
from tollway.adapters.sql.directory import SqlConfiguration
from tollway.adapters.sql.usage import SqlUsageReader
from tollway.adapters.system.clock import SystemClock
from tollway.adapters.system.entropy import system_entropy
from tollway.config import Settings
from tollway.web.admin.app import build_app
from tollway.web.admin.services import Services, SignInAt
from tollway.wiring.database import check_database, find_database
from tollway.wiring.master_key import master_box
from tollway.wiring.notices import Notices
from tollway.wiring.options import upstream_options

_log = logging.getLogger(__name__)
_PUBLISH_TIMEOUT_S = 2.0
KEEPER_SOCKET = "keeper.sock"


class Admin:
    """The application, and what it holds open. Without a database it stands and answers 503;
    `checked` says whether the schema was seen to be right."""

    def __init__(self, settings: Settings) -> None:
        self._keeper = os.path.join(settings.run_dir, KEEPER_SOCKET)
        self._engine, self.checked = find_database(settings)
        box = master_box(settings)
        self.app: FastAPI = build_app(
            Services(
                configuration=SqlConfiguration(self._engine, SystemClock()),
                usage=SqlUsageReader(self._engine),
                stands=WorkerStands(settings.run_dir),
                explainer=WorkerExplainer(settings.run_dir),
                sums=SqlCounts(self._engine),
                box=box,
                entropy=system_entropy,
                admin_token=settings.admin_token or "",
                publish=self._publish,
                probe=HttpProbe(upstream_options(settings), box),
                hasher=Argon2Hasher(),
                notices=Notices(settings, box),
                mail_configured=settings.smtp_url is not None,
                sign_in_at=_sign_in_at(settings),
                admin_url=settings.admin_url,
            )
        )

    def check(self) -> None:
        """Look at the schema, once the database is there. Raises SettingsError when it is another,
        StoreUnavailableError while it is away."""
        check_database(self._engine)
        self.checked = True

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    def _publish(self, version: int) -> None:
        """This machine's workers serve the version when this returns, if its keeper answers;
        others hear of it from the database."""
        if not os.path.exists(self._keeper):
            return
        try:
            ask_now(self._keeper, "publish", timeout_s=_PUBLISH_TIMEOUT_S)
        except ControlError as error:
            _log.warning(
                "a change is served a moment later", extra={"version": version, "error": str(error)}
            )


def _sign_in_at(settings: Settings) -> dict[str, SignInAt]:
    """The identity providers by name. Nothing is fetched before somebody signs in."""
    fetcher, clock = Fetcher(), SystemClock()
    return {
        issuer.name: SignInAt(
            issuer, OpenIdProvider(issuer, fetcher=fetcher, clock=clock, entropy=system_entropy)
        )
        for issuer in settings.oidc
    }
