"""The review sample: which events of a manifest are judged by their chart.

Belongs here: which events are drawn, and in which order they are shown.
Keep out: what is said of them (`labels`, `journal`).

Drawn systematically from the events ordered by stratum (type, session, time bucket, month) and,
within a stratum, at random: every k-th of them from a random start. So each stratum has its share
to within one event, nested from left to right, and every event the same chance, so that precision
in the sample is precision in the manifest without weights. (A quota per stratum would need weights:
there are more strata than events to judge.) Random means a digest of seed and event_id: it depends
neither on the order of rows nor on the version of a library.
"""

from __future__ import annotations

from collections.abc import Collection
from hashlib import blake2b
from typing import Final

import polars as pl

from smallcaps_pipeline.schemas import MANIFEST, REVIEW_SAMPLE
from smallcaps_pipeline.settings import Settings, load_settings

STRATA: Final = ("event_type", "session", "time_bucket", "month")
_DIGEST_BITS: Final = 64


def draw_sample(
    manifest: pl.DataFrame, settings: Settings | None = None, *, judged: Collection[str] = ()
) -> pl.DataFrame:
    """Draw the review sample of a manifest.

    Args:
        manifest: Rows of `schemas.MANIFEST`, any order.
        settings: `report.sample_size` and `report.sample_seed`; None takes `load_settings()`.
        judged: Events of the sample drawn before that somebody has judged: as far as the manifest
            still holds them they stay, so that a manifest made anew costs nobody's work.

    Returns:
        `schemas.REVIEW_SAMPLE`, at most sample_size rows, by `place`.
    """
    rules = (settings or load_settings()).report
    rows = MANIFEST.conform(manifest, where="review sample")
    keys = [_random(rules.sample_seed, event_id) for event_id in rows["event_id"]]
    keyed = rows.with_columns(
        month=pl.col("date").str.head(7),
        is_kept=pl.col("event_id").is_in(list(judged)),
        random=pl.Series(keys, dtype=pl.UInt64),
    )
    order = pl.struct("random", "event_id")
    kept = keyed.filter("is_kept").sort(order).head(rules.sample_size)
    free = keyed.filter(~pl.col("is_kept")).sort(*STRATA, order)
    start = _random(rules.sample_seed, "start of the systematic draw")
    places = systematic(free.height, rules.sample_size - kept.height, start)
    drawn = pl.concat([kept, free[places]]).sort(order)
    return REVIEW_SAMPLE.conform(drawn.with_columns(place=pl.int_range(1, pl.len() + 1)))


def systematic(total: int, wanted: int, start: int) -> list[int]:
    """Return `wanted` different places of 0..total-1 at equal distances, all where total is fewer.

    Args:
        total: How many there are.
        wanted: How many are taken.
        start: Where the first lies within its stretch, in 1/2^64 of it.
    """
    if total <= wanted:
        return list(range(total))
    return [
        ((n << _DIGEST_BITS) + start) * total // (wanted << _DIGEST_BITS) for n in range(wanted)
    ]


def _random(seed: int, text: str) -> int:
    """Return 64 bits that depend on nothing but seed and text."""
    return int.from_bytes(blake2b(f"{seed} {text}".encode(), digest_size=8).digest())
