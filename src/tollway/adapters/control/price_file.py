"""The price book as the keeper publishes it and workers read it: one file, replaced as a whole."""

import os
from pathlib import Path

import msgspec

from tollway.app.ports import StoreUnavailableError
from tollway.app.pricing import PriceList

_NAME = "prices.bin"
_decode = msgspec.msgpack.Decoder(PriceList).decode


class FilePriceSource:
    """Implements `app.pricing.PriceSource` over what was published last."""

    def __init__(self, run_dir: str) -> None:
        self._path = os.path.join(run_dir, _NAME)

    def mark(self) -> tuple[int, int]:
        """Which file it is. Raises StoreUnavailableError before the first."""
        try:
            found = os.stat(self._path)
        except OSError as error:
            raise StoreUnavailableError(str(error)) from error
        return found.st_ino, found.st_mtime_ns

    def read(self) -> PriceList:
        """All prices. Raises StoreUnavailableError."""
        try:
            return _decode(Path(self._path).read_bytes())
        except (OSError, msgspec.DecodeError) as error:
            raise StoreUnavailableError(f"{self._path}: {error}") from error


def publish_prices(run_dir: str, prices: PriceList) -> None:
    """Put these in the place of the old ones."""
    path = Path(run_dir, _NAME)
    fresh = path.with_suffix(".new")
    fresh.write_bytes(msgspec.msgpack.encode(prices))
    fresh.replace(path)
