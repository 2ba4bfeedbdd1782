"""The rank of an event: how much it is worth fetching.

Belongs here: rank_score and the order that follows from it.
Keep out: which events may be fetched at all (`filters`) and how many (`limits`, `passes`).
"""

from __future__ import annotations

from typing import Final

import polars as pl

from smallcaps_pipeline.settings import Manifest

RANK_DECIMALS: Final = 12  # rank_score is compared after rounding: implementations then agree
DEFAULT_PRIORITY: Final = 1.0  # of a type that manifest.type_priority does not name; notes say so
TIE_KEYS: Final = ("timestamp", "symbol", "event_type", "direction", "event_id")


def rank_score(settings: Manifest) -> pl.Expr:
    """Return score x type priority x liquidity, rounded to 12 decimals.

    Liquidity runs from 0.5 (no dollar volume) to 1 (rank_full_multiple x rank_dollar_volume),
    logarithmically. Null where score or dollar_volume is null.
    """
    priority = pl.col("event_type").replace_strict(
        dict(settings.type_priority), default=DEFAULT_PRIORITY, return_dtype=pl.Float64
    )
    multiple = pl.col("dollar_volume") / settings.rank_dollar_volume
    full = pl.lit(settings.rank_full_multiple, pl.Float64).log1p()
    liquidity = 0.5 + 0.5 * (multiple.log1p() / full).clip(upper_bound=1.0)
    return (pl.col("score") * priority * liquidity).round(RANK_DECIMALS)


def by_rank(frame: pl.DataFrame) -> pl.DataFrame:
    """Sort by rank: highest rank_score, then earlier timestamp, symbol, event_type, direction."""
    return frame.sort(
        "rank_score", *TIE_KEYS, descending=[True] + [False] * len(TIE_KEYS), nulls_last=True
    )
