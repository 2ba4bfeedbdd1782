"""What windows are expected to hold, learnt from those that are stored.

Belongs here: rows per minute and bytes per row of what was fetched, or else of the settings.
Keep out: requests and sums (`plan`, `estimate`).

A window is expected to be like others of its symbol and session; where fewer than 10 minutes of
those are stored, like others of its symbol, then of its session, then like all; with nothing stored
as the settings say. A learnt rate is a mean over minutes: events are chosen for being busy, so only
windows can say how busy. The session is that of the middle of a window.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from smallcaps_pipeline.schemas import WINDOW_FILES
from smallcaps_pipeline.sessions import add_sessions
from smallcaps_pipeline.settings import Windows

ENOUGH_MINUTES: Final = 10.0
LEVELS: Final[tuple[tuple[str, ...], ...]] = (
    ("symbol", "session", "kind"),
    ("symbol", "kind"),
    ("session", "kind"),
    ("kind",),
)

NOTHING_LEARNT: Final = (
    pl.lit(None, pl.Float64).alias("rows_per_minute"),
    pl.lit(None, pl.Float64).alias("bytes_per_row"),
)


@dataclass(frozen=True)
class Rates:
    """What windows are expected to hold.

    Attributes:
        windows: What was fetched, `schemas.WINDOW_FILES`; no rows: the settings decide.
        settings: What is expected where nothing was fetched.
    """

    windows: pl.DataFrame
    settings: Windows

    def add_to(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Add to plan rows what each minute and each row of them is expected to hold.

        Returns:
            The rows in their order, with `rows_per_minute` (as they come, before the reduction) and
            `bytes_per_row` (on disk, per row that comes).
        """
        quotes, given = pl.col("kind") == "quotes", self.settings
        rate = pl.when(quotes).then(given.expected_quotes_per_minute)
        size = pl.when(quotes).then(given.bytes_per_quote)
        learnt = self._learnt(rows) if len(self.windows) else rows.with_columns(NOTHING_LEARNT)
        return learnt.with_columns(
            rows_per_minute=pl.coalesce(
                "rows_per_minute", rate.otherwise(given.expected_trades_per_minute)
            ),
            bytes_per_row=pl.coalesce("bytes_per_row", size.otherwise(given.bytes_per_trade)),
        )

    def _learnt(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Add both rates as stored windows have them; null where there are no such windows."""
        minutes = (pl.col("window_end") - pl.col("window_start")).dt.total_microseconds() / 6e7
        known = _with_session(self.windows).with_columns(minutes=minutes)
        found = _with_session(rows)
        for level, by in enumerate(LEVELS):
            enough = known.group_by(by).agg(pl.col("minutes", "fetched").sum())
            rate = enough.filter(pl.col("minutes") >= ENOUGH_MINUTES).select(
                *by, (pl.col("fetched") / pl.col("minutes")).alias(f"rate_{level}")
            )
            found = _join(found, rate, by)
        sizes = known.group_by("kind", "nbbo").agg(pl.col("bytes", "fetched").sum())
        size = sizes.filter(pl.col("fetched") > 0).select(
            "kind", "nbbo", bytes_per_row=pl.col("bytes") / pl.col("fetched")
        )
        return _join(found, size, ("kind", "nbbo")).select(
            *rows.columns,
            pl.coalesce(f"rate_{level}" for level in range(len(LEVELS))).alias("rows_per_minute"),
            "bytes_per_row",
        )


def unlearnt(settings: Windows) -> Rates:
    """Return the rates of the settings alone."""
    return Rates(WINDOW_FILES.empty(), settings)


def _join(rows: pl.DataFrame, found: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    return rows.join(
        found, on=list(by), how="left", nulls_equal=True, validate="m:1", maintain_order="left"
    )


def _with_session(rows: pl.DataFrame) -> pl.DataFrame:
    """Add the session of each window's middle; null outside all sessions."""
    half = (pl.col("window_end") - pl.col("window_start")) / 2
    placed = rows.with_columns(timestamp=pl.col("window_start") + half)
    return add_sessions(placed.lazy()).select(*rows.columns, "session").collect()
