"""Detection: bars in, events out (SPEC §2 to §4), in the order in which the stages are written.

clean -> sessions -> scan (features, rules, edges) -> score -> filters -> duplicates -> groups
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from smallcaps_pipeline.bars import clean_bars
from smallcaps_pipeline.events.detectors import RULES, TapeSpeed
from smallcaps_pipeline.events.direction import IS_UP
from smallcaps_pipeline.events.duplicates import drop_duplicates, group_id
from smallcaps_pipeline.events.filters import event_filters, join_reference, unknown_facts
from smallcaps_pipeline.events.scan import Figures, scan
from smallcaps_pipeline.events.score import score
from smallcaps_pipeline.schemas import EVENTS
from smallcaps_pipeline.session_kernel import NO_SESSION
from smallcaps_pipeline.sessions import Labels, Session, label_sessions, session_names
from smallcaps_pipeline.settings import Events, Settings, load_settings
from smallcaps_pipeline.thresholds import above, below

log = logging.getLogger(__name__)

FIGURES: Final = Figures._fields[2:]  # after row and rules: the columns that events take over


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
    inside, labels = in_session(good, settings.events)
    counts = inside["transactions"]
    found, vwap_outside = raw_events(inside, labels, settings.events)
    kept, dropped, unknown = _filter(join_reference(found, reference), settings)
    stays = drop_duplicates(kept, settings.events.duplicates)
    dropped["duplicate"] = len(kept) - len(stays)
    return Detection(
        events=_finish(stays, settings),
        set_aside=set_aside,
        outside_sessions=len(good) - len(inside),
        bars=len(inside),
        vwap_outside=vwap_outside,
        dropped=dropped,
        unknown=unknown,
        without_transactions=len(counts) > 0 and counts.null_count() == len(counts),
    )


def in_session(good: pl.DataFrame, settings: Events) -> tuple[pl.DataFrame, Labels]:
    """Return the bars within sessions and their labels."""
    labels = label_sessions(
        good["timestamp"],
        premarket_start=settings.premarket_start,
        hours_after_close=settings.hours_after_close,
    )
    inside = labels.session != NO_SESSION
    if inside.all():
        return good, labels
    return good.filter(pl.Series(inside)), labels.where(inside)


def raw_events(bars: pl.DataFrame, labels: Labels, settings: Events) -> tuple[pl.DataFrame, int]:
    """Find the events of all detectors, before filters, duplicates and groups.

    Args:
        bars: Good bars within sessions (`schemas.BARS`), sorted by symbol and timestamp.
        labels: Their day and session.
        settings: The section `events`.

    Returns:
        One row per event: the bar's columns, `date` (Date), `session`, the figures of
        `scan.Figures`, `event_type`, `direction` and `score`, sorted by symbol, timestamp,
        event_type and direction. All but `label_dollar_volume_day` is known at the bar's end.
        And how many bars have a vwap that is not within the bar.
    """
    figures, vwap_outside = scan(bars, labels, settings)
    bits = figures.rules[:, None] >> np.arange(len(RULES))
    which, rule = np.nonzero(bits & 1)  # one entry per event: which bar, which rule
    row = figures.row[which]
    types, directions = (pl.Series(names, dtype=pl.String) for names in zip(*RULES, strict=True))
    events = (
        bars[row]
        .with_columns(
            pl.Series("date", labels.date[row]).cast(pl.Date),
            session_names(labels.session[row]).alias("session"),
            *(pl.Series(name, values[which]) for name, values in figures._asdict().items()),
            event_type=types.gather(rule),
            direction=directions.gather(rule),
        )
        .drop("row", "rules")
        .with_columns(
            pl.col(FIGURES).fill_nan(None), dollar_volume=pl.col("close") * pl.col("volume")
        )
        .with_columns(score=score(settings.score))
        .sort(EVENTS.key)
    )
    return events, vwap_outside


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
    opened, closed = pl.col("open"), pl.col("close")
    colour = (
        pl.when(above(closed, opened))
        .then(pl.lit("green"))
        .when(below(closed, opened))
        .then(pl.lit("red"))
    )
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
            vwap_at_event=pl.col("vwap_rth"),
            flatness_score=(1 - pl.col("base_ratio")).clip(0.0, 1.0),
            close_vs_open=colour.otherwise(pl.lit("flat")),
            window_seconds_before=None,
            window_seconds_after=None,
        )
    )
    return EVENTS.conform(rows)
