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
        if self.environment.is_simulated:
            return SIMULATED_LAST
        now = now or datetime.now(UTC)
        day = shift_trading_day(trading_day_of(now), 0)
        if now < session_bounds(day)[Session.AH][1] + PUBLICATION_DELAY:
            return previous_trading_day(day)
        return day


def simulated_market() -> SimulatedMarket:
    """Return the market that the embedded emulator serves."""
    return SimulatedMarket(first=SIMULATED_FIRST, last=SIMULATED_LAST)
