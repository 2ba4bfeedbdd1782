"""How well reviewers agree beyond chance: Cohen's kappa for two, Fleiss' kappa for more.

Both are (observed - expected) / (1 - expected) agreement: 1 is full agreement, 0 what chance gives.
Only events that all of the reviewers judged count; unsure is a category like the others.

Sources: Cohen (1960), doi:10.1177/001316446002000104; Fleiss (1971), doi:10.1037/h0031619.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from smallcaps_pipeline.schemas import LABELS

TWO = 2


@dataclass(frozen=True)
class Agreement:
    """How well some reviewers agree.

    Attributes:
        reviewers: Their names, sorted.
        events: Events that each of them judged.
        share: Pairs of judgements of one event that agree, 0 to 1; None without events.
        kappa: Cohen's of two reviewers, Fleiss' of more; None without events, and where chance
            alone would make them agree always (everybody says the same of everything).
    """

    reviewers: tuple[str, ...]
    events: int
    share: float | None
    kappa: float | None

    @property
    def method(self) -> str:
        return "Cohen" if len(self.reviewers) == TWO else "Fleiss"


def agreement(labels: pl.DataFrame) -> Agreement | None:
    """Measure the agreement of all reviewers in `labels` (`schemas.LABELS`); None of fewer than 2.

    A row without a label (a note) is no judgement.
    """
    said = LABELS.conform(labels, where="labels").filter(pl.col("label").is_not_null())
    reviewers = tuple(said["reviewer"].unique().sort())
    if len(reviewers) < TWO:
        return None
    rated = said.group_by("event_id").agg(pl.col("label").sort_by("reviewer"))
    ratings = rated.filter(pl.col("label").list.len() == len(reviewers))["label"].to_list()
    kappa = cohen_kappa(ratings) if len(reviewers) == TWO else fleiss_kappa(ratings)
    return Agreement(reviewers, len(ratings), observed_agreement(ratings), kappa)


def observed_agreement(ratings: Sequence[Sequence[str]]) -> float | None:
    """Return the share of pairs of judgements that agree, mean over events; None without events.

    Args:
        ratings: Per event its labels, one of each reviewer, reviewers in one order.
    """
    if not ratings:
        return None
    pairs = len(ratings[0]) * (len(ratings[0]) - 1)
    agreeing = (sum(n * (n - 1) for n in Counter(labels).values()) for labels in ratings)
    return sum(agreeing) / (pairs * len(ratings))


def cohen_kappa(ratings: Sequence[Sequence[str]]) -> float | None:
    """Return Cohen's kappa; chance follows each reviewer's own frequencies. None: see `Agreement`.

    Args:
        ratings: Per event the labels of two reviewers, in one order.
    """
    one, other = (Counter(labels[who] for labels in ratings) for who in range(TWO))
    n = len(ratings)
    expected = sum(one[label] * other[label] for label in one) / n**2 if n else 1.0
    return _beyond_chance(observed_agreement(ratings), expected)


def fleiss_kappa(ratings: Sequence[Sequence[str]]) -> float | None:
    """Return Fleiss' kappa; chance follows the frequencies of all judgements together.

    Args:
        ratings: Per event its labels, the same number for each.
    """
    every = Counter(label for labels in ratings for label in labels)
    total = every.total()
    expected = sum((n / total) ** 2 for n in every.values()) if total else 1.0
    return _beyond_chance(observed_agreement(ratings), expected)


def _beyond_chance(observed: float | None, expected: float) -> float | None:
    if observed is None or expected >= 1:
        return None
    return (observed - expected) / (1 - expected)
