"""The bars of a benchmark on disk: as the lake keeps them, and as the old scripts kept them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from benchmarks.bars import bars_of
from smallcaps_pipeline.bars.update import write_bars
from smallcaps_pipeline.cells import period_of
from smallcaps_pipeline.lake import Lake
from smallcaps_pipeline.schemas import BARS
from smallcaps_pipeline.sessions import trading_day


@dataclass(frozen=True)
class Sample:
    """The bars of some days of one symbol.

    Attributes:
        root: Folder of all that follows.
        symbol: Ticker.
    """

    root: Path
    symbol: str

    @property
    def lake(self) -> Lake:
        return Lake(self.root / "lake")

    @property
    def periods(self) -> list[str]:
        """Keys of the yearly cells."""
        return [period for _, period, _ in self.lake.cells(BARS.name)]

    @property
    def cells(self) -> list[Path]:
        """Yearly files of the lake, in order."""
        return [file for _, _, file in self.lake.cells(BARS.name)]

    @property
    def day_files(self) -> list[Path]:
        """Files of one day each, in order."""
        return sorted((self.root / "days").rglob("*.parquet"))


def make_sample(root: Path, symbol: str, days: int) -> Sample:
    """Write the generator's bars of some trading days in both layouts."""
    return write_sample(root, symbol, bars_of(symbol, days))


def write_sample(root: Path, symbol: str, bars: pl.DataFrame) -> Sample:
    """Write clean, sorted bars of one symbol in both layouts."""
    sample = Sample(root, symbol)
    write_cells(sample.lake, symbol, bars)
    folder = root / "days" / f"symbol={symbol}"
    folder.mkdir(parents=True, exist_ok=True)
    for (day,), rows in bars.group_by(trading_day(pl.col("timestamp")), maintain_order=True):
        rows.write_parquet(folder / f"date={day}.parquet")
    return sample


def write_cells(lake: Lake, symbol: str, bars: pl.DataFrame) -> None:
    """Write clean, sorted bars of one symbol as yearly cells, as the product does."""
    bars = bars.with_columns(day=trading_day(pl.col("timestamp")))
    for year in bars["day"].dt.truncate("1y").unique(maintain_order=True):
        period = period_of(year, "year")
        rows = bars.filter(pl.col("day").is_between(period.first, period.last)).drop("day")
        write_bars(lake, rows, symbol, period, complete_to=period.last, source_name="benchmark")
