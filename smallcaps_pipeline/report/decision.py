"""GO / NO-GO: the criteria, each on the evidence that there is.

GO only if every criterion passes; NO-GO if any fails; else NOT YET. A criterion without evidence
is "not yet", never a pass: also one that rests on fewer events than `report.min_events`.

Keep out: how the page shows them, and what follows from the decision (`escalation`).
"""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import Final

import polars as pl

from smallcaps_pipeline.report.intervals import (
    Interval,
    lead_interval,
    median_interval,
    rank_correlation_interval,
    wilson_interval,
)
from smallcaps_pipeline.report.labels import ReviewLabel
from smallcaps_pipeline.report.status import Finding, Status, judge
from smallcaps_pipeline.sessions import Session
from smallcaps_pipeline.settings import Range, Report, Settings, load_settings
from smallcaps_pipeline.thresholds import at_least

LEADING_TYPES: Final = ("volume_spike", "vwap_break")


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
        events: Rows of `schemas.EVENTS`, all that were detected.
        features: Rows of `schemas.MICRO_FEATURES` of the profile; None = no windows yet.
        labels: One row per reviewed event of the sample: `event_id`, `label` (good, bad, unsure),
            as `standing_labels` gives them; None = no review yet.
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
        premarket_first(events, chosen.report),
        premarket_share(events, chosen),
        leading_types(events, chosen.report),
        liquid_windows(windows, chosen.report),
        speed_and_volatility(windows, events, chosen.report),
        spread_multiple(windows, chosen.report),
    ]


def precision(labels: pl.DataFrame | None, report: Report) -> Finding:
    """Judge good / (good + bad) of the reviewed sample; not yet until the sample is reviewed."""
    said = label_counts(labels)
    good, bad, unsure = (said[label] for label in ReviewLabel)
    n, reviewed = good + bad, good + bad + unsure
    finding = _share(
        "precision",
        "Precision: events judged good, of good and bad",
        good,
        n,
        Range(low=report.min_precision_pct, high=None),
        report,
        note=(
            f"{good:,} good, {bad:,} bad, {unsure:,} unsure apart; "
            f"{reviewed:,} of {report.sample_size:,} reviewed"
        ),
    )
    return finding if reviewed >= report.sample_size else replace(finding, status=Status.NOT_YET)


def premarket_first(events: pl.DataFrame, report: Report) -> Finding:
    """Judge, of the symbol-days with an RTH event, how many had their first event in PM."""
    session = pl.col("session")
    by_day = events.group_by("symbol", "date").agg(
        first=session.sort_by("timestamp").first(), has_rth=(session == Session.RTH).any()
    )
    with_rth = by_day.filter("has_rth")
    announced = int((with_rth["first"] == Session.PM).sum())
    return _share(
        "premarket_first",
        "Days that announced themselves in premarket",
        announced,
        with_rth.height,
        Range(low=report.above_premarket_first_pct, high=None),
        report,
        above=True,
        note="of the days of a symbol with an event in RTH, those whose first event came in PM",
    )


def premarket_share(events: pl.DataFrame, settings: Settings) -> Finding:
    """Judge the share of events in premarket."""
    in_pm = int((events["session"] == Session.PM).sum())
    allowed = settings.kpis.events.pm_share_pct
    title = "Premarket share of events"
    return _share("premarket_share", title, in_pm, events.height, allowed, settings.report)


def leading_types(events: pl.DataFrame, report: Report) -> Finding:
    """Judge by how much the weaker of volume_spike and vwap_break leads every other type."""
    counted = dict(events.group_by("event_type").len().iter_rows())
    weaker = min(counted.get(kind, 0) for kind in LEADING_TYPES)
    next_best = max((n for kind, n in counted.items() if kind not in LEADING_TYPES), default=0)
    n = events.height
    figure = (weaker - next_best) / n * 100 if n else None
    allowed = Range(low=0.0, high=None)
    ordered = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    most = ", ".join(f"{kind} {count:,}" for kind, count in ordered[:3])
    interval = lead_interval(weaker / n, next_best / n, n, report.confidence) if n else None
    return Finding(
        "leading_types",
        "volume_spike and vwap_break lead",
        figure,
        "%",
        *(allowed.low, allowed.high),
        n,
        judge(figure, allowed, n=n, enough=report.min_events, above=True),
        f"share of the weaker of the two less that of the next type; most frequent: "
        f"{most or 'none'}",
        _percent(interval),
    )


def liquid_windows(features: pl.DataFrame | None, report: Report) -> Finding:
    """Judge the share of events whose window trades enough dollars per minute."""
    dollars, without = pl.Series(dtype=pl.Float64), 0
    if features is not None:
        dollars = features["label_dollar_volume_per_minute"].drop_nulls()
        without = int((features["label_trades"] == 0).sum())
    enough = int(at_least(dollars, report.liquid_dollar_volume_per_minute).sum())
    return _share(
        "liquid_windows",
        f"Events whose window trades {report.liquid_dollar_volume_per_minute:,.0f} USD a minute",
        enough,
        len(dollars),
        Range(low=report.min_liquid_windows_pct, high=None),
        report,
        note="or more, mean over the window"
        + (f"; {without:,} windows hold no trade, and count as below" if without else ""),
    )


def speed_and_volatility(
    features: pl.DataFrame | None, events: pl.DataFrame, report: Report
) -> Finding:
    """Judge the rank correlation of trades per minute and the event bar's range, above 0."""
    figure, n, interval = None, 0, None
    if features is not None:
        bar_range = (pl.col("high") - pl.col("low")) / pl.col("close")
        pairs = (
            features.select("event_id", "label_tape_speed")
            .join(events.select("event_id", bar_range=bar_range), on="event_id")
            .drop_nulls()
        )
        n = pairs.height
        figure = _rank_correlation(pairs["label_tape_speed"], pairs["bar_range"])
    if figure is not None:
        interval = rank_correlation_interval(figure, n, report.confidence)
    allowed = Range(low=0.0, high=None)
    return Finding(
        "speed_and_volatility",
        "Rank correlation of trades per minute and volatility",
        figure,
        "",
        *(allowed.low, allowed.high),
        n,
        judge(figure, allowed, n=n, enough=report.min_events, above=True),
        "Spearman; trades per minute of the window, volatility = (high - low) / close of the bar",
        interval,
    )


def spread_multiple(features: pl.DataFrame | None, report: Report) -> Finding:
    """Judge the spread before the event in multiples of the symbol's usual one.

    Usual is the mean over the first two minutes of the symbol's other windows; an event whose
    symbol has no other window is left out. The figure is the median over events.
    """
    multiples = [] if features is None else spread_multiples(features).to_list()
    figure = pl.Series(multiples, dtype=pl.Float64).median()
    assert figure is None or isinstance(figure, float)
    allowed = Range(low=None, high=report.max_spread_multiple)
    return Finding(
        "spread_multiple",
        "Spread before the event against the symbol's usual",
        figure,
        "x",
        *(allowed.low, allowed.high),
        len(multiples),
        judge(figure, allowed, n=len(multiples), enough=report.min_events),
        "median over events; usual = first two minutes of the symbol's other windows",
        median_interval(multiples, report.confidence),
    )


def spread_multiples(features: pl.DataFrame) -> pl.Series:
    """Return each event's spread before it ÷ the symbol's usual one; unknown ones are left out."""
    start, others = pl.col("spread_start_bps"), pl.len().over("symbol") - 1
    usual = (start.sum().over("symbol") - start) / others
    return (
        features.filter(start.is_not_null())
        .with_columns(usual=pl.when(others > 0).then(usual))
        .filter(pl.col("usual") > 0)
        .select(multiple=pl.col("spread_before_bps") / pl.col("usual"))
        .drop_nulls()
        .to_series()
    )


def label_counts(labels: pl.DataFrame | None) -> dict[str, int]:
    """Count events by label, all three named.

    Raises:
        ValueError: A label is none of the three.
    """
    none = dict.fromkeys((label.value for label in ReviewLabel), 0)
    if labels is None or labels.is_empty():
        return none
    said = dict(labels.group_by("label").len().iter_rows())
    if unknown := set(said) - set(none):
        raise ValueError(
            f"labels must be {', '.join(ReviewLabel)}, got {sorted(map(str, unknown))}"
        )
    return none | said


def _share(
    name: str,
    title: str,
    count: int,
    n: int,
    allowed: Range,
    report: Report,
    *,
    note: str = "",
    above: bool = False,
) -> Finding:
    """Return the finding on a share of n, in percent, with its Wilson interval."""
    figure = count / n * 100 if n else None
    status = judge(figure, allowed, n=n, enough=report.min_events, above=above)
    interval = wilson_interval(count, n, report.confidence) if n else None
    return Finding(
        *(name, title, figure, "%", allowed.low, allowed.high, n, status, note), _percent(interval)
    )


def _percent(interval: Interval | None) -> Interval | None:
    return None if interval is None else (interval[0] * 100, interval[1] * 100)


def _rank_correlation(one: pl.Series, other: pl.Series) -> float | None:
    """Return Spearman's rank correlation; None where a side does not vary."""
    if one.n_unique() < 2 or other.n_unique() < 2:
        return None
    frame = pl.DataFrame({"one": one, "other": other})
    correlation: float = frame.select(pl.corr("one", "other", method="spearman")).item()
    return correlation
