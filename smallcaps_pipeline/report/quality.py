"""The quality of a batch of windows: named figures with an allowed range, from counts per window.

Belongs here: how counts (`schemas.MICRO_QUALITY`) become shares, and which range each is held to.
Keep out: the counting (micro/quality), the asset checks that carry the findings (defs/).

Every rule names the provider defect or the promise that it looks for. `n` is how many windows a
rule could concern. Where it concerns none (no after-hours event in the batch) there is nothing to
judge; where it concerns some but the evidence is missing (no bars, no participant timestamps), the
status is "not yet" all the same, and `n` tells the two apart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

import polars as pl

from smallcaps_pipeline.report.figures import bar_chart_svg
from smallcaps_pipeline.report.status import Finding, judge
from smallcaps_pipeline.schemas import MICRO_QUALITY
from smallcaps_pipeline.sessions import Session
from smallcaps_pipeline.settings import Range, Settings, WindowKpis, load_settings

MEGABYTE: Final = 1_000_000
SPEED_STEPS: Final = (0, 1, 3, 10, 30, 100, 300, 1000, 3000)  # trades per minute, bins of the plot
SAME_BASIS: Final = 0.05  # of price: no print of a minute is so far from its bar, any split is

_EVERY: Final = pl.lit(value=True)
_QUOTED: Final = pl.col("quotes").is_not_null()
_MINUTES: Final = (pl.col("window_end") - pl.col("window_start")).dt.total_seconds() / 60
_PER_MINUTE: Final = pl.col("trades_real") / _MINUTES
_TICKS: Final = pl.col("trades") + pl.col("quotes").fill_null(0)


@dataclass(frozen=True)
class Rule:
    """One figure of a batch.

    Attributes:
        name: As in checks, metadata and config.
        title: In the trader's words.
        figure: Aggregation over the windows that the rule concerns; null where it cannot be told.
        unit: `%`, `ms` and the like.
        allowed: The range in config.
        concerns: Which windows the rule is about.
        note: What a failure usually means.
    """

    name: str
    title: str
    figure: pl.Expr
    unit: str
    allowed: Callable[[WindowKpis], Range]
    concerns: pl.Expr = field(default_factory=lambda: _EVERY)
    note: str = ""


def quality_findings(quality: pl.DataFrame, settings: Settings | None = None) -> list[Finding]:
    """Measure a batch of windows.

    Args:
        quality: Rows of `schemas.MICRO_QUALITY`, any order.
        settings: None takes `load_settings()`.

    Returns:
        One finding per rule, in the order of `RULES`.
    """
    limits = (settings or load_settings()).kpis.windows
    rows = MICRO_QUALITY.conform(quality, where="quality_findings")
    return [_finding(rule, rows, limits) for rule in RULES]


def trades_per_minute_svg(quality: pl.DataFrame) -> str:
    """Draw how many windows trade how fast: a static SVG."""
    steps = list(SPEED_STEPS)
    speed = quality.select(_PER_MINUTE).to_series()
    counts = [
        int(((speed >= low) & (speed < high)).sum())
        for low, high in zip(steps, [*steps[1:], float("inf")], strict=True)
    ]
    labels = [f"{low:,} to {high:,}" for low, high in pairwise(steps)]
    return bar_chart_svg([*labels, f"{steps[-1]:,} or more"], counts, "Windows by trades a minute")


def _finding(rule: Rule, rows: pl.DataFrame, limits: WindowKpis) -> Finding:
    about = rows.filter(rule.concerns)
    figure = about.select(rule.figure.cast(pl.Float64)).item() if about.height else None
    allowed = rule.allowed(limits)
    status = judge(figure, allowed, n=about.height)
    return Finding(
        *(rule.name, rule.title, figure, rule.unit, allowed.low, allowed.high),
        *(about.height, status, rule.note),
    )


# the kinds of rules -------------------------------------------------------------------------------


def _at_most(name: str) -> Callable[[WindowKpis], Range]:
    return lambda limits: Range(low=None, high=getattr(limits, name))


def _range(name: str) -> Callable[[WindowKpis], Range]:
    def of(limits: WindowKpis) -> Range:
        found: Range = getattr(limits, name)
        return found

    return of


def _ratio(part: pl.Expr, whole: pl.Expr) -> pl.Expr:
    """Return a percentage over all windows together; null where there is nothing to share."""
    return pl.when(whole.sum() > 0).then(part.sum() / whole.sum() * 100)


def _trades(column: str, title: str, limit: str, note: str = "") -> Rule:
    """Hold a count of trades to its share of all trades."""
    figure = _ratio(pl.col(column), pl.col("trades"))
    return Rule(f"{column}_pct", title, figure, "%", _at_most(limit), pl.col("trades") > 0, note)


def _quotes(name: str, title: str, part: pl.Expr, limit: str, note: str = "") -> Rule:
    """Hold a count of quotes to its share of all quotes."""
    return Rule(name, title, _ratio(part, pl.col("quotes")), "%", _at_most(limit), _QUOTED, note)


def _ticks(name: str, title: str, limit: str, note: str) -> Rule:
    """Hold a count of trades and quotes together to its share of all rows."""
    part = pl.col(f"trades_{name}") + pl.col(f"quotes_{name}").fill_null(0)
    figure = _ratio(part, _TICKS)
    return Rule(f"{name}_pct", title, figure, "%", _at_most(limit), _TICKS > 0, note)


def _windows(
    name: str, title: str, flag: pl.Expr, limit: str, *, concerns: pl.Expr = _EVERY, note: str = ""
) -> Rule:
    """Hold the share of windows for which a flag holds, of those for which it is known."""
    return Rule(name, title, flag.mean() * 100, "%", _at_most(limit), concerns, note)


def _covered(session: Session, allowed: Callable[[WindowKpis], Range]) -> Rule:
    """Hold the share of a session's windows with a trade."""
    return Rule(
        f"{session.lower()}_with_trades_pct",
        f"{session} windows with a trade",
        (pl.col("trades_real") > 0).mean() * 100,
        "%",
        allowed,
        pl.col("session") == session,
        "an event is made of trades: a window without one was not fetched whole",
    )


def _latency(kind: str, quantile: str, limit: str) -> Rule:
    """Hold the delay from venue to tape of trades or quotes."""
    column = f"{kind}_latency_{quantile}_ms"
    title = f"Participant to SIP, {kind}, {quantile}, median over windows"
    figure = pl.col(column).median()
    return Rule(column, title, figure, "ms", _range(limit), pl.col(kind).fill_null(0) > 0)


def _number(name: str, title: str, figure: pl.Expr, unit: str) -> Rule:
    """Hold a number to the range in config of the same name."""
    return Rule(name, title, figure, unit, _range(name))


def _minutes(column: str, title: str, limit: str, note: str) -> Rule:
    """Hold a count of minutes to its share of those with a bar or prints."""
    figure = _ratio(pl.col(column), pl.col("minutes_compared"))
    return Rule(f"{column}_pct", title, figure, "%", _at_most(limit), _EVERY, note)


def _bars(column: str, title: str, limit: str) -> Rule:
    """Hold a count of bars to its share of those that stand beside prints."""
    beside = pl.col("minutes_compared") - pl.col("bars_missing") - pl.col("bars_without_trades")
    note = "late or cancelled prints; where many, other update rules than the provider's"
    figure = _ratio(pl.col(column), beside)
    return Rule(f"{column}_pct", title, figure, "%", _at_most(limit), _EVERY, note)


# the rules ----------------------------------------------------------------------------------------

_COVERAGE: Final = (
    _covered(Session.RTH, lambda limits: Range(low=limits.min_rth_with_trades_pct, high=None)),
    _covered(Session.PM, _range("pm_with_trades_pct")),
    _covered(Session.AH, _range("ah_with_trades_pct")),
    _windows(
        "windows_without_quotes_pct",
        "Windows without a quote",
        pl.col("quotes") == 0,
        "max_empty_quotes_pct",
        concerns=_QUOTED,
    ),
)
_NBBO: Final = (
    _quotes(
        "quotes_empty_pct",
        "Quotes with neither bid nor ask",
        pl.col("quotes_empty"),
        "max_empty_quotes_pct",
        "the provider gives 0 for a side that is not there",
    ),
    _quotes(
        "quotes_one_sided_pct",
        "Quotes with one side",
        pl.col("quotes_one_sided"),
        "max_one_sided_pct",
    ),
    _quotes(
        "crossed_or_locked_pct",
        "Crossed or locked quotes",
        pl.col("quotes_crossed") + pl.col("quotes_locked"),
        "max_crossed_or_locked_pct",
    ),
    _quotes(
        "quotes_crossed_pct",
        "Crossed quotes",
        pl.col("quotes_crossed"),
        "max_crossed_pct",
        "they make no spread and no side",
    ),
    _windows(
        "quote_unit_differs_pct",
        "Windows whose quote sizes look like the other unit",
        pl.col("quote_unit_differs"),
        "max_quote_unit_differs_pct",
        concerns=pl.col("quote_unit_differs").is_not_null(),
        note="round lots before 2025-11-03, shares since; history looks mixed",
    ),
)
_ROWS: Final = (
    _ticks(
        "out_of_order",
        "Rows out of order",
        "max_out_of_order_pct",
        "a page that came newest first, or sequence numbers that do not follow time",
    ),
    _ticks("duplicated", "Rows stored twice", "max_duplicated_pct", "pages or windows overlap"),
    _trades("trades_id_repeated", "Trades with the id of another", "max_ids_repeated_pct"),
    _trades("trades_bad", "Trades without a usable price or size", "max_bad_trades_pct"),
    Rule(
        "off_market_pct",
        "Shares printed far from the mid in force",
        _ratio(pl.col("shares_off_market"), pl.col("shares")),
        "%",
        _at_most("max_off_market_pct"),
        _QUOTED & (pl.col("shares") > 0),
        "late, average-priced or negotiated prints: a single one can double an effective spread",
    ),
    _trades(
        "trades_cancelled",
        "Trades cancelled or in error",
        "max_cancelled_pct",
        "they stay in the data and are left out of every figure",
    ),
    _trades(
        "trades_unknown_condition",
        "Trades with a condition code of no known rule",
        "max_unknown_conditions_pct",
        "taken as regular; look the code up in the provider's table",
    ),
    _trades(
        "trades_without_conditions",
        "Trades whose condition codes are not given",
        "max_without_conditions_pct",
        "taken as regular: odd lots move prices, official prices count as trades",
    ),
    _windows(
        "time_rounded_pct",
        "Windows whose timestamps passed through a double",
        pl.col("time_rounded"),
        "max_time_rounded_pct",
        concerns=pl.col("time_rounded").is_not_null(),
        note="order and quote in force are wrong within 256 ns; fetch again",
    ),
)
_LATENCIES: Final = (
    _latency("trades", "p50", "latency_p50_ms"),
    _latency("trades", "p99", "latency_p99_ms"),
    _latency("quotes", "p50", "latency_p50_ms"),
    _latency("quotes", "p99", "latency_p99_ms"),
    Rule(
        "latency_negative_pct",
        "Rows that the SIP had before the venue",
        _ratio(pl.col("latency_negative"), pl.col("latency_known")),
        "%",
        _at_most("max_latency_negative_pct"),
        _TICKS > 0,
        "clocks that disagree, or the two timestamps mixed up",
    ),
)
_SIZE: Final = (
    _number(
        "trades_per_minute_p50", "Trades a minute, median over windows", _PER_MINUTE.median(), ""
    ),
    _number(
        "trades_per_minute_p99",
        "Trades a minute, 99th percentile over windows",
        _PER_MINUTE.quantile(0.99, "linear"),
        "",
    ),
    _number(
        "megabytes_p99",
        "Size of a window's files, 99th percentile",
        pl.col("bytes").quantile(0.99, "linear") / MEGABYTE,
        "MB",
    ),
    _number(
        "extended_pct", "Windows that a hot edge has widened", pl.col("extended").mean() * 100, "%"
    ),
)
_AGAINST_BARS: Final = (
    _minutes(
        "bars_missing",
        "Minutes with prints and no bar",
        "max_bars_missing_pct",
        "the provider leaves out single minutes of liquid names: a gap is no halt",
    ),
    _minutes(
        "bars_without_trades",
        "Bars without a print in the window",
        "max_bars_without_trades_pct",
        "the download was cut short",
    ),
    *(
        _bars(f"bar_{field}_differs", f"Bars whose {field} is not that of their prints", limit)
        for field, limit in {
            **dict.fromkeys(("open", "high", "low", "close"), "max_bar_price_differs_pct"),
            **dict.fromkeys(("volume", "count"), "max_bar_volume_differs_pct"),
        }.items()
    ),
    _bars("bar_vwap_outside", "Bars whose vwap is outside [low, high]", "max_bar_vwap_outside_pct"),
    _windows(
        "bars_rescaled_pct",
        "Windows whose bars are on another price basis than their prints",
        (pl.col("bar_price_ratio") - 1).abs() > SAME_BASIS,
        "max_bars_rescaled_pct",
        note="bars adjusted for a later split beside prints that are not",
    ),
    Rule(
        "halts_with_bars_pct",
        "Probable halts with a bar inside",
        _ratio(pl.col("halts_with_bars"), pl.col("halts")),
        "%",
        _at_most("max_halts_with_bars_pct"),
        pl.col("halts") > 0,
        "trades are missing from the window, or bars are made of prints that are none",
    ),
)
RULES: Final = (*_COVERAGE, *_NBBO, *_ROWS, *_LATENCIES, *_SIZE, *_AGAINST_BARS)
