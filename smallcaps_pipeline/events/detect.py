"""Detection: bars in, events out (SPEC §2 to §4), in the order in which the stages are written.

clean -> sessions -> features -> rules and edges -> filters -> score -> duplicates -> groups
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import polars as pl

from smallcaps_pipeline.bars import clean_bars, trusted_vwap
from smallcaps_pipeline.events.detectors import Detector, Rule, TapeSpeed
from smallcaps_pipeline.events.direction import IS_UP, Direction
from smallcaps_pipeline.events.duplicates import drop_duplicates, group_id
from smallcaps_pipeline.events.features import (
    BASE_RATIO,
    DROP_FROM_HIGH,
    GREEN,
    RED,
    VWAP_RTH,
    add_base,
    add_features,
)
from smallcaps_pipeline.events.filters import event_filters, join_reference, unknown_facts
from smallcaps_pipeline.events.score import CHANGE_5M, score, volume_confirm
from smallcaps_pipeline.schemas import EVENTS
from smallcaps_pipeline.sessions import Session, add_sessions
from smallcaps_pipeline.settings import Events, Settings, load_settings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Detection:
    """Events, and what took no part in making them.

    Attributes:
        events: `schemas.EVENTS`.
        set_aside: Bars that are bad input or copies, `schemas.SET_ASIDE`.
        outside_sessions: Good bars at night or on days when the exchange is closed.
        bars: Good bars within sessions.
        vwap_outside: Of them, bars whose vwap is not within [low, high]: it counts as not given.
        dropped: Events dropped, by filter (an event counts under each that it fails) and as
            duplicates.
        unknown: Events that passed a filter because the fact is unknown, by filter.
        without_transactions: No bar carried a transaction count: tape_speed could yield nothing.
    """

    events: pl.DataFrame
    set_aside: pl.DataFrame
    outside_sessions: int
    bars: int
    vwap_outside: int
    dropped: Mapping[str, int]
    unknown: Mapping[str, int]
    without_transactions: bool


def detect_events(
    bars: pl.DataFrame | pl.LazyFrame,
    settings: Settings | None = None,
    *,
    reference: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Find the events of 1-minute bars.

    Args:
        bars: One row per symbol and traded minute (`schemas.BARS`), any symbols and days, any row
            order; `timestamp` is the start of the minute, in any time zone. Cleaned inside.
        settings: Thresholds; None takes `load_settings()`.
        reference: What was public of each stock from which day on (`schemas.REFERENCE`); unknown
            facts pass the filters.

    Returns:
        One row per event (`schemas.EVENTS`), sorted by symbol, timestamp, event_type and direction.
        With the shipped settings an event looks ahead in two ways, both by choice: the day's
        dollar volume (`dollar_volume_basis: day`) and the best of ten minutes
        (`duplicates.keep: best`). No column but `label_dollar_volume_day` holds later knowledge.

    Raises:
        NaiveTimestampError: `timestamp` has no time zone.
        CalendarRangeError: A bar lies beyond the exchange calendar.
        SchemaError: A column is missing or has a wrong type.
    """
    settings = settings or load_settings()
    found = detect(bars, settings, reference=reference)
    wanted = TapeSpeed.event_type in settings.events.detectors
    if found.without_transactions and wanted:
        log.warning("tape_speed yields no events: the bars carry no transaction counts")
    return found.events


def detect(
    bars: pl.DataFrame | pl.LazyFrame,
    settings: Settings | None = None,
    *,
    reference: pl.DataFrame | None = None,
) -> Detection:
    """Find events as `detect_events`, and count what took no part."""
    settings = settings or load_settings()
    good, set_aside = clean_bars(bars)
    in_session = _in_session(good, settings)
    counts = in_session["transactions"]
    found = _add_day_total(raw_events(in_session, settings), in_session)
    kept, dropped, unknown = _filter(join_reference(found, reference), settings)
    stays = drop_duplicates(kept, settings.events.duplicates)
    dropped["duplicate"] = len(kept) - len(stays)
    return Detection(
        events=_finish(stays, settings),
        set_aside=set_aside,
        outside_sessions=len(good) - len(in_session),
        bars=len(in_session),
        vwap_outside=in_session.select(_vwap_outside().sum()).item(),
        dropped=dropped,
        unknown=unknown,
        without_transactions=len(counts) > 0 and counts.null_count() == len(counts),
    )


def _in_session(good: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    labelled = add_sessions(
        good.lazy(),
        premarket_start=settings.events.premarket_start,
        hours_after_close=settings.events.hours_after_close,
    )
    return labelled.filter(pl.col("session").is_not_null()).collect()


def _vwap_outside() -> pl.Expr:
    return pl.col("vwap").is_not_null() & trusted_vwap().is_null()


def raw_events(bars: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    """Find the events of all detectors, before filters, duplicates and groups.

    Args:
        bars: Good bars within sessions, sorted by symbol and timestamp, with the columns of
            `sessions.add_sessions`.
        settings: Thresholds.

    Returns:
        One row per event: the bar's columns and features, `event_type`, `direction` and `score`,
        sorted by symbol, timestamp, event_type and direction. All of it is known at the bar's end.
    """
    events = settings.events
    rules = _rules(events)
    raised = {
        key: key.detector.raised(key.direction, all_hold(rule)) for key, rule in rules.items()
    }
    frame = add_features(bars, [*raised.values(), CHANGE_5M], events)
    frame = frame.with_columns(volume_confirm(events.score))
    # The base costs more than all else: it is computed where an event asks for it, and no more.
    of_base = [key for key, rule in rules.items() if any(map(_needs_base, rule))]
    flags = _flags(frame, {key: raised[key] for key in raised if key not in of_base})
    breaks_out = _flags(
        frame,
        {key: all_hold([line for line in rules[key] if not _needs_base(line)]) for key in of_base},
    )
    asked = _any_row(flags, len(frame)) | _any_row(breaks_out, len(frame))
    frame = add_base(frame, asked, events)
    flags = pl.concat([flags, _flags(frame, {k: raised[k] for k in of_base})], how="horizontal")
    found = [_take(frame, flags[key.name], key) for key in rules]
    none = frame.clear().with_columns(event_type=pl.lit(""), direction=pl.lit(""))
    return (
        pl.concat([none, *found])  # every detector may be switched off
        .with_columns(score=score(events.score))
        .sort(EVENTS.key)
    )


class RuleKey(NamedTuple):
    """Which rule: a detector and a direction."""

    detector: Detector
    direction: Direction

    @property
    def name(self) -> str:
        return f"{self.detector.event_type} {self.direction}"


def _rules(settings: Events) -> dict[RuleKey, Rule]:
    return {
        RuleKey(detector, direction): rule
        for detector in settings.detectors.values()
        for direction, rule in detector.rules().items()
    }


def all_hold(rule: Rule) -> pl.Expr:
    """Return where all lines of a rule hold; a line that is null does not."""
    return pl.all_horizontal(line.fill_null(False) for line in rule)


def _needs_base(line: pl.Expr) -> bool:
    return BASE_RATIO.meta.output_name() in line.meta.root_names()


def _flags(frame: pl.DataFrame, raised: Mapping[RuleKey, pl.Expr]) -> pl.DataFrame:
    return frame.select(flag.alias(key.name) for key, flag in raised.items())


def _any_row(flags: pl.DataFrame, rows: int) -> pl.Series:
    """Return the rows on which any flag holds; none where there is no flag."""
    if not flags.columns:
        return pl.repeat(False, rows, eager=True)
    return flags.select(pl.any_horizontal(pl.all())).to_series()


def _take(frame: pl.DataFrame, flag: pl.Series, key: RuleKey) -> pl.DataFrame:
    return frame.filter(flag).with_columns(
        event_type=pl.lit(key.detector.event_type), direction=pl.lit(key.direction.value)
    )


def _add_day_total(found: pl.DataFrame, bars: pl.DataFrame) -> pl.DataFrame:
    """Add the dollar volume of the symbol's whole trading day: it looks past the event.

    Added up bar after bar as `dollar_volume_so_far` is, so that the two agree to the last bit.
    """
    totals = (
        bars.lazy()
        .group_by("symbol", "date")
        .agg(label_dollar_volume_day=(pl.col("close") * pl.col("volume")).cum_sum().last())
        .collect()
    )
    return found.join(totals, on=["symbol", "date"], how="left", validate="m:1")


def _filter(
    found: pl.DataFrame, settings: Settings
) -> tuple[pl.DataFrame, dict[str, int], dict[str, int]]:
    """Return the events that pass, how many fail each filter, how many pass as unknown."""
    filters = event_filters(settings.events.filters)
    judged = found.with_columns(passes.alias(f"passes {name}") for name, passes in filters.items())
    passes_all = pl.all_horizontal(f"passes {name}" for name in filters)
    failed = judged.select((~pl.col(f"passes {name}")).sum().alias(name) for name in filters)
    kept = judged.filter(passes_all).drop(f"passes {name}" for name in filters)
    unknown = kept.select(fact.sum().alias(name) for name, fact in unknown_facts().items())
    return kept, failed.row(0, named=True), unknown.row(0, named=True)


def _finish(stays: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    """Return event rows in the schema and order of `EVENTS`."""
    time = pl.col("timestamp")
    colour = pl.when(GREEN).then(pl.lit("green")).when(RED).then(pl.lit("red"))
    rows = (
        stays.sort(EVENTS.key)
        .with_columns(event_group_id=group_id(settings.events.group_minutes))
        .with_columns(
            event_id=pl.format(
                "{}_{}_{}_{}",
                "symbol",
                time.dt.strftime("%Y%m%d_%H%M%S"),
                "event_type",
                "direction",
            ),
            date=pl.col("date").dt.strftime("%Y-%m-%d"),
            event_bias=pl.when(IS_UP).then(pl.lit("bullish")).otherwise(pl.lit("bearish")),
            is_premarket=pl.col("session") == Session.PM.value,
            is_afterhours=pl.col("session") == Session.AH.value,
            price_at_event=pl.col("close"),
            vwap_at_event=VWAP_RTH,
            change_5m=CHANGE_5M,
            drop_from_high=DROP_FROM_HIGH,
            flatness_score=(1 - BASE_RATIO).clip(0.0, 1.0),
            close_vs_open=colour.otherwise(pl.lit("flat")),
            window_seconds_before=None,
            window_seconds_after=None,
        )
    )
    return EVENTS.conform(rows)
