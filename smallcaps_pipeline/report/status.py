"""Pass, fail or not yet: how a figure stands against its threshold.

Missing evidence is "not yet", never a pass and never a fail.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import polars as pl

from smallcaps_pipeline import thresholds
from smallcaps_pipeline.schemas import CRITERIA
from smallcaps_pipeline.settings import Range


class Status(StrEnum):
    """What a figure says."""

    PASS = "pass"
    FAIL = "fail"
    NOT_YET = "not yet"


@dataclass(frozen=True)
class Finding:
    """A named figure against its allowed range.

    Attributes:
        name: As in checks and metadata (snake_case).
        title: In the trader's words.
        figure: None where it cannot be told.
        unit: `%`, `USD`, `events` and the like; empty for a plain number.
        low, high: Allowed range, both included; None is unbounded.
        n: How many events (or windows) the figure rests on.
        status: See `Status`.
        note: What to know about the figure.
        interval: Both ends of its confidence interval; None where there is none.
    """

    name: str
    title: str
    figure: float | None
    unit: str
    low: float | None
    high: float | None
    n: int
    status: Status
    note: str = ""
    interval: tuple[float, float] | None = None


def judge(
    figure: float | None, allowed: Range, *, n: int, enough: int = 1, above: bool = False
) -> Status:
    """Judge a figure: not yet where it is unknown or rests on fewer than `enough`.

    Args:
        figure: The figure; None = unknown.
        allowed: Both ends included.
        n: What the figure rests on.
        enough: Fewer than this is no evidence.
        above: The figure must lie above `allowed.low`, not only reach it.
    """
    if figure is None or n < enough:
        return Status.NOT_YET
    low, high = allowed.low, allowed.high
    reaches = thresholds.above if above else thresholds.at_least
    too_low = low is not None and not reaches(figure, low)
    too_high = high is not None and thresholds.above(figure, high)
    return Status.FAIL if too_low or too_high else Status.PASS


def findings_frame(findings: list[Finding]) -> pl.DataFrame:
    """Return findings as `schemas.CRITERIA`: one row each, in their order."""
    rows = []
    for finding in findings:
        low, high = finding.interval or (None, None)
        fields = {name: getattr(finding, name, None) for name in CRITERIA.columns}
        rows.append(fields | {"interval_low": low, "interval_high": high})
    return pl.DataFrame(rows, schema=CRITERIA.schema)
