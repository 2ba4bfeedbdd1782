"""Sides against the recorded answers of tclf, a third-party reading of the same papers.

`data/record_tclf.py` says how they were recorded. On whole ticks the two must agree on every trade.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest

from smallcaps_pipeline.micro import classify_aggressor

RECORDED = pl.read_csv(Path(__file__).parents[1] / "data" / "tclf_sides.csv")
METHODS = ["tick", "quote", "lee_ready", "emo", "clnv"]
OPENING = 1_759_845_600 * 10**9


def _instants(offset: int) -> pl.Expr:
    at = OPENING + 1_000 * pl.int_range(pl.len()) + offset
    return at.cast(pl.Datetime("ns")).dt.replace_time_zone("UTC").alias("timestamp")


@pytest.mark.parametrize("tick_usd", [0.01, 0.0001, 0.05])
@pytest.mark.parametrize("method", METHODS)
def test_every_side_is_that_of_tclf(method: str, tick_usd: float) -> None:
    ticks = pl.col("price", "bid", "ask").cast(pl.Float64) * tick_usd
    rows = RECORDED.with_columns(ticks)
    trades = rows.select(_instants(1), "price")
    quotes = rows.select(_instants(0), bid_price="bid", ask_price="ask").drop_nulls()
    found = classify_aggressor(trades, quotes, method=method)["aggressor"].fill_null(0)
    agree = (found.cast(pl.Int64) == RECORDED[method]).sum()
    assert agree == RECORDED.height


def test_the_record_tells_the_methods_apart() -> None:
    for one, other in pairwise(METHODS):
        assert (RECORDED[one] != RECORDED[other]).sum() > 20, (one, other)
    assert all((RECORDED[method] == 0).sum() > 0 for method in METHODS[:2])
    assert (RECORDED["bid"] == RECORDED["ask"]).sum() > 20  # locked quotes are among them
