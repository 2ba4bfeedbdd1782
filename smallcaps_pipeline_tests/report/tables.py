"""Events, a manifest, windows and bars made up for the report: seeded, no market behind them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl

from smallcaps_pipeline.schemas import BARS, EVENTS, FUNNEL, MANIFEST, QUOTES, TRADES
from smallcaps_pipeline_tests.micro.tables import at

TYPES = ("volume_spike", "vwap_break", "price_momentum", "opening_range_break", "flush")
DAYS = ("2025-08-05", "2025-09-09", "2025-10-07", "2025-10-08", "2025-11-28")


def event_row(
    symbol: str = "AEMD",
    clock: str = "10:03",
    *,
    day: str = "2025-10-07",
    event_type: str = "volume_spike",
    direction: str = "up",
    session: str = "RTH",
    **more: Any,
) -> dict[str, Any]:
    """Make the values of one event."""
    start = at(f"{clock}:00", day)
    close = more.pop("close", 10.0)
    row: dict[str, Any] = dict.fromkeys(EVENTS.columns)
    row.update(
        event_id=f"{symbol}_{start:%Y%m%d_%H%M%S}_{event_type}_{direction}",
        symbol=symbol,
        date=day,
        timestamp=start,
        event_type=event_type,
        direction=direction,
        session=session,
        open=close * 0.98,
        high=close * 1.01,
        low=close * 0.97,
        close=close,
        volume=20_000.0,
        dollar_volume=200_000.0,
        spike_x=8.0,
        score=0.5,
        **more,
    )
    return row


def events_of(*rows: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=EVENTS.schema)


def many_events(count: int = 400, seed: int = 7) -> pl.DataFrame:
    """Make events over some symbols, days and sessions."""
    random = np.random.default_rng(seed)
    return events_of(*(_random_event(random) for _ in range(count))).unique(
        "event_id", maintain_order=True
    )


def manifest_of(events: pl.DataFrame) -> pl.DataFrame:
    """Make core's manifest of all events, by score."""
    ranked = events.sort("score", "event_id", descending=[True, False]).with_columns(
        profile=pl.lit("core"),
        rank=pl.int_range(1, pl.len() + 1),
        rank_score=pl.col("score"),
        fill=pl.when(pl.int_range(pl.len()) % 9 == 0)
        .then(pl.lit("overflow"))
        .otherwise(pl.lit("quota")),
        time_bucket=pl.lit("midday"),
        cohort=pl.lit(None, dtype=pl.String),
        nbbo_by_change=True,
        nbbo_max_hz=5,
        window_start=pl.col("timestamp") - pl.duration(minutes=3),
        window_end=pl.col("timestamp") + pl.duration(minutes=7),
    )
    return MANIFEST.conform(ranked)


def funnel_of(*counts: int) -> pl.DataFrame:
    stages = ["asked", "score", "liquidity", "group", "selection"]
    values = {"stage": stages, "n_in": counts[:-1], "n_out": counts[1:]}
    return pl.DataFrame(values, schema=FUNNEL.schema)


def bars_around(row: dict[str, Any], seed: int = 3) -> pl.DataFrame:
    """Make two hours of bars with a burst at the event."""
    random = np.random.default_rng(seed)
    start = row["timestamp"] - timedelta(minutes=60)
    steps = random.normal(0, 0.004, 120)
    steps[60] = 0.06 if row["direction"] == "up" else -0.06
    closes = row["close"] * np.exp(np.cumsum(steps) - steps[:61].sum())
    opens = np.concatenate([closes[:1], closes[:-1]])
    volume = random.integers(200, 4000, 120) * np.where(np.arange(120) == 60, 20, 1)
    frame = pl.DataFrame(
        {
            "symbol": row["symbol"],
            "timestamp": [start + timedelta(minutes=i) for i in range(120)],
            "open": opens,
            "high": np.maximum(opens, closes) * 1.003,
            "low": np.minimum(opens, closes) * 0.997,
            "close": closes,
            "volume": volume,
            "vwap": None,
            "transactions": None,
        }
    )
    return BARS.conform(frame)


def ticks_around(row: dict[str, Any], seed: int = 5) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Make trades and quotes of an event's window."""
    random = np.random.default_rng(seed)
    start = int((row["timestamp"] - timedelta(minutes=3)).timestamp()) * 10**9
    seconds = np.sort(
        np.concatenate([random.uniform(0, 600, 200 + 90 * (seed % 9)), random.normal(200, 25, 700)])
    )
    kept = seconds[(seconds > 0) & (seconds < 600)]
    prices = np.round(row["close"] + np.cumsum(random.choice([-0.01, 0.0, 0.01], len(kept))), 2)
    stamps = pl.Series(start + (kept * 1e9).astype(np.int64))
    shared = {"timestamp": stamps, "sequence_number": np.arange(len(kept))}
    trades = _complete(TRADES, row, price=prices, size=random.integers(1, 900, len(kept)), **shared)
    quotes = _complete(
        QUOTES,
        row,
        bid_price=prices - 0.01,
        ask_price=prices + random.choice([0.01, 0.02, 0.04], len(kept)),
        **shared,
    )
    return trades, quotes


def _random_event(random: np.random.Generator) -> dict[str, Any]:
    session = str(random.choice(["PM", "RTH", "RTH", "RTH", "AH"]))
    hour = {"PM": (8, 9), "RTH": (10, 15), "AH": (16, 18)}[session]
    close = float(np.round(random.uniform(2, 20), 2))
    return event_row(
        str(random.choice(["AEMD", "NERV", "GRI", "BAER", "WOLF", "BTBT"])),
        f"{random.integers(*hour):02d}:{random.integers(0, 60):02d}",
        day=str(random.choice(DAYS)),
        event_type=str(random.choice(TYPES, p=[0.35, 0.3, 0.15, 0.12, 0.08])),
        direction=str(random.choice(["up", "down"])),
        session=session,
        close=close,
    ) | {
        "high": close * float(random.uniform(1, 1.04)),
        "score": float(random.uniform(0.3, 0.98)),
        "spike_x": float(random.lognormal(2.3, 0.6)),
        "dollar_volume": float(random.lognormal(12.3, 0.9)),
    }


def _complete(table: Any, row: dict[str, Any], **given: Any) -> pl.DataFrame:
    frame = pl.DataFrame({name: given.get(name) for name in table.columns}).with_columns(
        pl.col("timestamp").cast(pl.Datetime("ns")).dt.replace_time_zone("UTC"),
        symbol=pl.lit(row["symbol"]),
    )
    return frame.cast({k: v for k, v in table.schema.items() if k != "timestamp"})
