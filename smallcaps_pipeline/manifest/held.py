"""Held events: what is stored or under way, and so keeps its place.

Belongs here: the forms in which a caller may name them. Keep out: what holding means for caps and
quotas (`passes`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import polars as pl

from smallcaps_pipeline.schemas import I64, STR

Held = pl.DataFrame | pl.LazyFrame | pl.Series | Iterable[str]


def read_held(held: Held | None, profiles: Sequence[str]) -> pl.DataFrame:
    """Return the held events, one row per event_id.

    Args:
        held: A frame with `event_id` or any iterable of ids. A frame may also have `profile` (the
            event is held in that profile and in those after it; null, or no profile of the
            settings: in all) and `fill` (which it keeps), so a manifest's own rows fit.
        profiles: The profiles of the settings, in their order.

    Returns:
        `event_id`, `is_held` (true), `held_from` (position of the first profile that holds it),
        `held_fill` (null where not given).

    Raises:
        TypeError: `held` is a single string.
        ValueError: The frame has no column event_id.
    """
    rows = _as_frame(held)
    order = {name: position for position, name in enumerate(profiles)}
    held_from = pl.col("profile").replace_strict(order, default=0, return_dtype=I64)
    return (
        rows.select(
            pl.col("event_id").cast(STR),
            is_held=pl.lit(True),
            held_from=held_from,
            held_fill=pl.col("fill").cast(STR),
        )
        .sort("event_id", "held_from", "held_fill", nulls_last=True)
        .unique("event_id", keep="first", maintain_order=True)
    )


def _as_frame(held: Held | None) -> pl.DataFrame:
    """Return `held` as a frame with event_id, profile and fill."""
    if isinstance(held, str):
        raise TypeError(f"held must be a frame or an iterable of event_ids, was the text {held!r}")
    if isinstance(held, pl.DataFrame | pl.LazyFrame):
        rows = held.lazy().collect()
    else:
        ids = [] if held is None else list(held)
        rows = pl.DataFrame({"event_id": ids}, schema={"event_id": STR})
    if "event_id" not in rows.columns:
        raise ValueError(f"held: expected a column event_id, it has {rows.columns}")
    missing = [name for name in ("profile", "fill") if name not in rows.columns]
    return rows.with_columns(pl.lit(None, STR).alias(name) for name in missing)
