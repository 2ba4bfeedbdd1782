"""Small daily bars and details for the tests of the universe."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from smallcaps_pipeline.schemas import DAILY_BARS, SPLITS, TICKER_DETAILS
from smallcaps_pipeline.settings import SHIPPED_CONFIG, Settings, read_settings


def bar(symbol: str, day: date, close: float = 10.0, **columns: Any) -> dict[str, Any]:
    """Return a quiet day: open, high and low at the close, 1,000 shares."""
    quiet = {"open": close, "high": close, "low": close, "close": close, "volume": 1_000.0}
    return {"symbol": symbol, "date": day, **quiet, **columns}


def daily_bars(rows: Iterable[Mapping[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=DAILY_BARS.schema, orient="row")


def stock(symbol: str, **columns: Any) -> dict[str, Any]:
    """Return the record of a listed common stock of 100 million USD."""
    return {
        "symbol": symbol,
        "type": "CS",
        "primary_exchange": "XNAS",
        "active": True,
        "list_date": date(2010, 1, 4),
        "market_cap": 1e8,
        "as_of": date(2025, 10, 7),
        **columns,
    }


def details(*rows: Mapping[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=TICKER_DETAILS.schema, orient="row")


def splits(*rows: tuple[str, date, float, float]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=SPLITS.schema, orient="row")


def settings(**universe: Any) -> Settings:
    """Return the shipped settings with `universe` over its section."""
    values = yaml.safe_load(Path(SHIPPED_CONFIG).read_text(encoding="utf-8"))
    values["universe"] |= universe
    return read_settings(values)
