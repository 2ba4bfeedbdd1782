"""The ranking agrees with the SPEC read aloud (`plain`), on random markets."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from smallcaps_pipeline.sessions import trading_days
from smallcaps_pipeline.universe import rank_universe
from smallcaps_pipeline_tests.universe import plain
from smallcaps_pipeline_tests.universe.tables import (
    bar,
    daily_bars,
    details,
    settings,
    splits,
    stock,
)

DAYS = trading_days(date(2025, 8, 25), date(2025, 10, 7))
AS_OF = DAYS[-4]  # three days of the market lie after it
NAMES = [f"S{n:02}" for n in range(14)]
RULES: dict[str, Any] = {"sessions": 12, "volume_mean_sessions": 5, "size": 9, "tiers": [3, 6]}


def market(chance: random.Random) -> tuple[list[Any], list[Any], list[Any]]:
    """Return daily bars, stocks and splits: gaps, bursts, halts, listings, delistings, splits."""
    bars, stocks, known = [], [], []
    for name in NAMES:
        close, shares = chance.choice([0.6, 3.0, 12.0, 49.0]), chance.choice([1e3, 4e4])
        first = chance.choice([0, 0, 0, 5, 20])
        split_at = chance.choice([None, None, 8, 18, 26])
        if split_at is not None:
            old, new = chance.choice([(10.0, 1.0), (1.0, 2.0), (3.0, 2.0)])
            known += [(name, DAYS[split_at], old, new)] * chance.choice([1, 2])
        for n, day in enumerate(DAYS):
            if split_at == n:
                close, shares = close * old / new, shares * new / old
            if n < first or chance.random() < 0.1:
                continue
            open_ = close * chance.choice([1.0, 1.0, 1.1, 0.9, 1.0999, 1.3])
            high = max(open_, close) * chance.choice([1.0, 1.02, 1.15])
            volume = shares * chance.choice([0.0, 1.0, 1.0, 3.0, 2.9, 8.0])
            bars.append(bar(name, day, close, open=open_, high=high, volume=volume))
        changes: dict[str, Any] = chance.choice(
            [
                {},
                {},
                {},
                {"type": "ETF"},
                {"primary_exchange": "BATS"},
                {"market_cap": chance.choice([2e9, 2.1e9])},
                {"list_date": AS_OF + timedelta(days=chance.choice([0, 1]))},
                {"delisted_at": _at(AS_OF + timedelta(days=chance.choice([-1, 0, 30])))},
            ]
        )
        stocks.append(stock(name, **changes))
    return bars, stocks, known


def _at(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


@pytest.mark.parametrize("seed", range(25))
def test_ranking_agrees_with_the_spec_read_aloud(seed: int) -> None:
    bars, stocks, known = market(random.Random(seed))
    chosen = settings(**RULES)
    found = rank_universe(
        daily_bars(bars), details(*stocks), as_of=AS_OF, splits=splits(*known), settings=chosen
    ).frame
    expected = plain.universe(bars, stocks, known, AS_OF, chosen.universe.model_dump())
    assert found.select("symbol", "universe_rank", "tier").rows() == expected
    assert expected  # nothing agrees with nothing


def test_every_market_holds_what_the_rules_are_about() -> None:
    """Across the seeds: ties, all tiers, left out for each reason, and each figure above zero."""
    reasons: set[str] = set()
    tiers: set[int] = set()
    for seed in range(25):
        bars, stocks, known = market(random.Random(seed))
        done = rank_universe(
            daily_bars(bars),
            details(*stocks),
            as_of=AS_OF,
            splits=splits(*known),
            settings=settings(**RULES),
        )
        reasons |= {reason.value for reason, count in done.left_out.items() if count}
        tiers |= set(done.frame["tier"])
        assert done.frame["gap_days"].sum() > 0
    assert tiers == {1, 2, 3}
    assert reasons >= {"type", "exchange", "not listed on the date", "price", "market cap"}
