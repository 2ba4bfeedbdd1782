"""What reviewers say of events: labels, and the label that stands when several speak.

Keep out: how a saying is stored (`journal`), how well reviewers agree (`agreement`).
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

import polars as pl

from smallcaps_pipeline.schemas import LABELS


class ReviewLabel(StrEnum):
    """What a reviewer said of an event's chart."""

    GOOD = "good"
    BAD = "bad"
    UNSURE = "unsure"


def standing_labels(labels: pl.DataFrame, events: Collection[str] | None = None) -> pl.DataFrame:
    """Return one label per event: what most of its reviewers say; a tie is unsure.

    Args:
        labels: Rows of `schemas.LABELS`; rows without a label (notes) do not count.
        events: Only these events count; None counts all.

    Returns:
        `event_id`, `label`, sorted by event_id; an event that nobody judged has no row.
    """
    said = LABELS.conform(labels, where="labels").filter(pl.col("label").is_not_null())
    if events is not None:
        said = said.filter(pl.col("event_id").is_in(list(events)))
    votes = said.group_by("event_id", "label").len("votes")
    most = votes.filter(pl.col("votes") == pl.col("votes").max().over("event_id"))
    tied = pl.col("label").len() > 1
    label = pl.when(tied).then(pl.lit(ReviewLabel.UNSURE.value)).otherwise(pl.col("label").first())
    return most.group_by("event_id").agg(label=label).sort("event_id")
