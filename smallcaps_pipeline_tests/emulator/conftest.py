"""One simulated market, and one server of it, for all tests of the emulator."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import httpx
import pytest

from smallcaps_pipeline.emulator import Running, SimulatedMarket, running

FIRST, LAST = date(2025, 10, 1), date(2026, 3, 31)


@pytest.fixture(scope="session")
def market() -> SimulatedMarket:
    return SimulatedMarket(seed=7, symbols=6, first=FIRST, last=LAST)


@pytest.fixture(scope="session")
def emulator(market: SimulatedMarket) -> Iterator[Running]:
    with running(market) as server:
        yield server


@pytest.fixture(scope="session")
def client(emulator: Running) -> Iterator[httpx.Client]:
    with client_of(emulator) as one:
        yield one


def client_of(server: Running, key: str = "k", timeout: float = 20.0) -> httpx.Client:
    """Return a client with a key; `trust_env` off, so that no proxy comes between."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return httpx.Client(base_url=server.base_url, headers=headers, trust_env=False, timeout=timeout)
