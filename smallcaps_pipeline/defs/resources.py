"""Resources: what assets are handed. Typed fields in, a plain object out; nothing at import.

`lake` and `settings` are plain frozen objects. `provider` opens a client when an asset asks for
one, so that a run which finds everything current never touches the network or the key.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Final

from smallcaps_pipeline.emulator import SimulatedMarket, running
from smallcaps_pipeline.environment import EMULATOR_KEY, PROVIDER_URL, Environment, claim
from smallcaps_pipeline.polygon.client import PolygonClient
from smallcaps_pipeline.polygon.connect import connect
from smallcaps_pipeline.polygon.flatfiles import FlatFiles, KeyPair, Location
from smallcaps_pipeline.sessions import (
    Session,
    previous_trading_day,
    session_bounds,
    shift_trading_day,
    trading_day_of,
)
from smallcaps_pipeline.settings import Settings

SIMULATED_FIRST: Final = date(2025, 1, 2)
SIMULATED_LAST: Final = date(2025, 12, 31)  # fixed: the simulated past must not change with time
PUBLICATION_DELAY: Final = timedelta(hours=4)  # a day's data are complete some hours after AH ends


class Source(StrEnum):
    """Where rows came from, as their files say; never a key."""

    SIMULATED = "simulated market"  # the embedded emulator
    EMULATOR = "emulator on loopback"  # another one: simulated or recorded data
    PROVIDER = "provider"
    FLAT_FILES = "provider's flat files"
    LOOPBACK_FILES = "flat files on loopback"  # a test's, or a mirror


class NoFileKeysError(RuntimeError):
    """The flat files were asked for without their key pair."""

    def __init__(self) -> None:
        super().__init__(
            "provider.bars_source is flat_files, which needs its own key pair: set "
            "MASSIVE_S3_ACCESS_KEY and MASSIVE_S3_SECRET_KEY, or choose bars_source: rest"
        )


@dataclass(frozen=True)
class Provider:
    """Where bars, trades, quotes and reference data come from.

    Attributes:
        settings: Limits, retries, time-outs.
        environment: Key and address; without both, the embedded emulator.
        emulator_url: An embedded emulator that runs already; None starts one when it is needed.
    """

    settings: Settings
    environment: Environment
    emulator_url: str | None = None

    @property
    def source_name(self) -> Source:
        """What the files say of where their rows came from; never a key."""
        if self.environment.is_simulated:
            return Source.SIMULATED
        return Source.EMULATOR if self.environment.is_loopback else Source.PROVIDER

    @contextmanager
    def client(self) -> Iterator[PolygonClient]:
        """Open a client; where there is no key, start the embedded emulator for its time.

        Raises:
            MixedDataError: Simulated data would meet real data in the lake.
        """
        if not self.environment.is_loopback:  # an emulator that was named is meant; files say so
            claim(self.environment.data_root, simulated=self.environment.is_simulated)
        if self.environment.is_simulated and self.emulator_url is None:
            with (
                running(simulated_market()) as embedded,
                self._connect(embedded.base_url) as client,
            ):
                yield client
        else:
            url = self.emulator_url or self.environment.base_url or PROVIDER_URL
            with self._connect(url) as client:
                yield client

    @property
    def file_source_name(self) -> Source:
        """What the files say of bars that came from flat files."""
        loopback = self.environment.has_loopback_files
        return Source.LOOPBACK_FILES if loopback else Source.FLAT_FILES

    def flat_files(self) -> FlatFiles:
        """Open the flat files.

        Raises:
            NoFileKeysError: Their key pair is not in the environment.
            MixedDataError: Real data would meet simulated data in the lake.
        """
        environment, chosen = self.environment, self.settings.provider.flat_files
        access, secret = environment.s3_access_key, environment.s3_secret_key
        if access is None or secret is None:
            raise NoFileKeysError
        if not environment.has_loopback_files:
            claim(environment.data_root, simulated=False)
        return FlatFiles(
            Location(
                endpoint=environment.s3_endpoint,
                bucket=chosen.bucket,
                prefix=chosen.prefix,
                region=chosen.region,
            ),
            KeyPair(access.get_secret_value(), secret.get_secret_value()),
            timeout_s=chosen.timeout_s,
            retries=self.settings.provider.retries,
        )

    def _connect(self, base_url: str) -> PolygonClient:
        limits = self.settings.provider
        if self.environment.is_simulated:  # its own process: there is no plan whose limit holds
            limits = limits.model_copy(update={"calls_per_minute": None, "calls_per_second": None})
        key = self.environment.api_key
        return connect(
            limits,
            base_url=base_url,
            api_key=EMULATOR_KEY if key is None else key.get_secret_value(),
            budget_address=self.environment.budget_address.get_secret_value(),
        )

    def last_finished_day(self, now: datetime | None = None) -> date:
        """Return the last trading day whose data are complete at the provider."""
        return SIMULATED_LAST if self.environment.is_simulated else self.last_file_day(now)

    def last_file_day(self, now: datetime | None = None) -> date:
        """Return the last trading day that a day file can be of: files are never simulated."""
        now = now or datetime.now(UTC)
        day = shift_trading_day(trading_day_of(now), 0)
        if now < session_bounds(day)[Session.AH][1] + PUBLICATION_DELAY:
            return previous_trading_day(day)
        return day


def simulated_market() -> SimulatedMarket:
    """Return the market that the embedded emulator serves."""
    return SimulatedMarket(first=SIMULATED_FIRST, last=SIMULATED_LAST)
