"""GO / NO-GO: the criteria, each on the evidence that there is.

GO only if every criterion passes; NO-GO if any fails; else NOT YET. A criterion without evidence
is "not yet".

Keep out: how the page shows them.
"""

from __future__ import annotations

from enum import StrEnum
from math import sqrt
from statistics import NormalDist
from typing import Final

import polars as pl

from smallcaps_pipeline.report.labels import ReviewLabel
from smallcaps_pipeline.report.status import Finding, Status, judge
from smallcaps_pipeline.report.summary import counts
from smallcaps_pipeline.sessions import Session
from smallcaps_pipeline.settings import Range, Report, Settings, load_settings
from smallcaps_pipeline.thresholds import at_least

LEADING_TYPES: Final = ("volume_spike", "vwap_break")
FEWEST_FOR_RANKS: Final = 10  # a rank correlation over fewer says nothing


class Decision(StrEnum):
    """What the report says on top."""

    GO = "GO"
    NO_GO = "NO-GO"
    NOT_YET = "NOT YET"


def decide(criteria: list[Finding]) -> Decision:
    """Decide on the criteria; none at all is no evidence."""
    statuses = {criterion.status for criterion in criteria}
    if Status.FAIL in statuses:
        return Decision.NO_GO
    return Decision.GO if statuses == {Status.PASS} else Decision.NOT_YET


def evaluate_criteria(
    events: pl.DataFrame,
    features: pl.DataFrame | None = None,
    labels: pl.DataFrame | None = None,
    settings: Settings | None = None,
) -> list[Finding]:
    """Evaluate the criteria on what exists.

    Args:
        events: Rows of `schemas.EVENTS`.
        features: Rows of `schemas.MICRO_FEATURES`; None = no windows yet.
        labels: One row per reviewed event: `event_id`, `label` (good, bad, unsure); None = no
            review yet.
        settings: None takes `load_settings()`.

    Returns:
        Findings in a fixed order.

    Raises:
        ValueError: A label is none of the three.
    """
    chosen = settings or load_settings()
    windows = features if features is not None and not features.is_empty() else None
    return [
        precision(labels, chosen.report),
        premarket_first(events),
        premarket_share(events, chosen.kpis.events.pm_share_pct),
        leading_types(events),
        liquid_windows(windows, chosen.report),
        speed_and_volatility(windows, events),
        spread_multiple(windows, chosen.report),
    ]


def wilson_interval(good: int, n: int, confidence: float) -> tuple[float, float]:
    """Return the Wilson score interval of a share, 0 to 1; (0, 1) for n = 0.

    Source: Wilson (1927), doi:10.1080/01621459.1927.10502953.
    """
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = good / n
    centre = share + z**2 / (2 * n)
    spread = z * sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    scale = 1 + z**2 / n
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def precision(labels: pl.DataFrame | None, report: Report) -> Finding:
    """Judge good / (good + bad) of the reviewed sample; not yet until the sample is reviewed."""
    said = _label_counts(labels)
    good, bad, unsure = (said.get(label, 0) for label in ReviewLabel)
    n, reviewed = good + bad, good + bad + unsure
    share = good / n * 100 if n else None
    allowed = Range(low=report.min_precision_pct, high=None)
    status = judge(share, allowed, n=reviewed, enough=report.sample_size)
    note = f"{reviewed:,} of {report.sample_size:,} reviewed"
    if n:
        low, high = wilson_interval(good, n, report.confidence)
        note = (
            f"{good:,} good, {bad:,} bad, {unsure:,} unsure; "
            f"{report.confidence * 100:g} % interval {low * 100:.1f} to {high * 100:.1f} %; {note}"
        )
    return _finding(
        "precision", "Precision of the reviewed sample", share, allowed, n, status, note
    )


def premarket_first(events: pl.DataFrame) -> Finding:
    """Judge, of the symbol-days with an RTH event, how many had their first event in PM."""
    by_day = (
        events.sort("timestamp")
        .group_by("symbol", "date", maintain_order=True)
        .agg(
            first_session=pl.col("session").first(),
            has_rth=(pl.col("session") == Session.RTH).any(),
        )
        .filter("has_rth")
    )
    n = by_day.height
    share = float((by_day["first_session"] == Session.PM).sum()) / n * 100 if n else None
    allowed = Range(low=0.0, high=None)
    status = judge(share, allowed, n=n, above=True)
    title = "RTH days that announced themselves in premarket"
    return _finding("premarket_first", title, share, allowed, n, status, "symbol-days; above 0 %")


def premarket_share(events: pl.DataFrame, allowed: Range) -> Finding:
    """Judge the share of events in premarket."""
    n = events.height
    share = float((events["session"] == Session.PM).sum()) / n * 100 if n else None
    status = judge(share, allowed, n=n)
    return _finding("premarket_share", "Premarket share of events", share, allowed, n, status)


def leading_types(events: pl.DataFrame) -> Finding:
    """Judge whether volume_spike and vwap_break are the two most frequent types."""
    by_type = counts(events, "event_type")
    of_leaders = by_type.filter(pl.col("event_type").is_in(LEADING_TYPES))["events"]
    others = by_type.filter(~pl.col("event_type").is_in(LEADING_TYPES))["events"]
    n = events.height
    share = float(of_leaders.sum()) / n * 100 if n else None
    weakest = min(of_leaders) if len(of_leaders) == len(LEADING_TYPES) else 0
    lead = weakest > max(others, default=0)
    status = Status.NOT_YET if not n else Status.PASS if lead else Status.FAIL
    top = ", ".join(f"{name} {count:,}" for name, count in by_type.head(3).rows())
    title = "volume_spike and vwap_break lead"
    unbounded = Range(low=None, high=None)
    note = f"their share; most frequent: {top or 'none'}"
    return _finding("leading_types", title, share, unbounded, n, status, note)


def liquid_windows(features: pl.DataFrame | None, report: Report) -> Finding:
    """Judge the share of windows that trade enough dollars per minute."""
    figure, n = None, 0
    if features is not None:
        dollars = features["label_dollar_volume_per_minute"].drop_nulls()
        n = len(dollars)
        enough = at_least(dollars, report.liquid_dollar_volume_per_minute)
        figure = float(enough.sum()) / n * 100 if n else None
    allowed = Range(low=report.min_liquid_windows_pct, high=None)
    status = judge(figure, allowed, n=n)
    title = f"Windows with {report.liquid_dollar_volume_per_minute:,.0f} USD a minute or more"
    return _finding("liquid_windows", title, figure, allowed, n, status)


def speed_and_volatility(features: pl.DataFrame | None, events: pl.DataFrame) -> Finding:
    """Judge the rank correlation of trades per minute and the event bar's range, above 0."""
    figure, n = None, 0
    if features is not None:
        bar_range = (pl.col("high") - pl.col("low")) / pl.col("close")
        pairs = (
            features.select("event_id", "label_tape_speed")
            .join(events.select("event_id", bar_range=bar_range), on="event_id")
            .drop_nulls()
        )
        n = pairs.height
        figure = _rank_correlation(pairs["label_tape_speed"], pairs["bar_range"])
    allowed = Range(low=0.0, high=None)
    status = judge(figure, allowed, n=n, enough=FEWEST_FOR_RANKS, above=True)
    title = "Rank correlation of trades per minute and volatility"
    return Finding(
        *("speed_and_volatility", title, figure, "", 0.0, None, n, status),
        "volatility: range of the event bar / close; above 0",
    )


def spread_multiple(features: pl.DataFrame | None, report: Report) -> Finding:
    """Judge the spread before the event in multiples of the symbol's usual one.

    Usual is the mean over the first two minutes of the symbol's other windows; an event whose
    symbol has no other window is left out. The figure is the median over events.
    """
    figure, n = None, 0
    if features is not None:
        start, others = pl.col("spread_start_bps"), pl.len().over("symbol") - 1
        known = features.filter(start.is_not_null())
        usual = (start.sum().over("symbol") - start) / others
        multiples = (
            known.with_columns(usual=pl.when(others > 0).then(usual))
            .filter(pl.col("usual") > 0)
            .select(multiple=pl.col("spread_before_bps") / pl.col("usual"))["multiple"]
            .drop_nulls()
        )
        n, figure = len(multiples), multiples.quantile(0.5, interpolation="linear")
    allowed = Range(low=None, high=report.max_spread_multiple)
    status = judge(figure, allowed, n=n)
    title = "Spread before the event, in multiples of the symbol's usual"
    note = "median; usual = first two minutes of its other windows"
    return Finding("spread_multiple", title, figure, "x", None, allowed.high, n, status, note)


def _rank_correlation(one: pl.Series, other: pl.Series) -> float | None:
    """Return Spearman's rank correlation; None where a side does not vary."""
    if one.n_unique() < 2 or other.n_unique() < 2:
        return None
    frame = pl.DataFrame({"one": one, "other": other})
    correlation: float = frame.select(pl.corr("one", "other", method="spearman")).item()
    return correlation


def _label_counts(labels: pl.DataFrame | None) -> dict[str, int]:
    if labels is None or labels.is_empty():
        return {}
    said = dict(labels.group_by("label").len().rows())
    if unknown := set(said) - set(ReviewLabel):
        raise ValueError(
            f"labels must be {', '.join(ReviewLabel)}, got {sorted(map(str, unknown))}"
        )
    return said


def _finding(
    name: str,
    title: str,
    figure: float | None,
    allowed: Range,
    n: int,
    status: Status,
    note: str = "",
) -> Finding:
    return Finding(name, title, figure, "%", allowed.low, allowed.high, n, status, note)
