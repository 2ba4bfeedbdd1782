"""The pass over the bars: features, rules, and the figures of the bars on which an event is.

Belongs here: how bars become arrays, how they are walked through. A few months of bars at a time,
several under way at once: compiled code does not hold the interpreter's lock, and what a pass needs
besides the bars is small.
Keep out: what a feature is (`features`), what an event is (`detectors`).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
import polars as pl

from smallcaps_pipeline.compiled import Array, at_least, compiled, read_only
from smallcaps_pipeline.events.catalogue import thresholds_of
from smallcaps_pipeline.events.detectors import (
    RULES,
    OpeningRangeBreak,
    Thresholds,
    arming,
    holding,
)
from smallcaps_pipeline.events.features import (
    Bars,
    base_ratio,
    change,
    drop_from_high,
    fill,
    opening_range,
    run_green,
    run_red,
)
from smallcaps_pipeline.events.records import Record, record_of
from smallcaps_pipeline.sessions import Labels
from smallcaps_pipeline.settings import Events

CHUNK_BARS: Final = 64_000  # walked through at a time: its arrays stay near the processor
ALL: Final = (1 << len(RULES)) - 1  # the bits of all rules
COLUMNS: Final = ("open", "high", "low", "close", "volume", "vwap", "transactions")

Rows = tuple[int, int]


class Figures(NamedTuple):
    """What is known of each bar on which an event is, an array each (SPEC §2 and §4).

    Attributes:
        row: The bar's row among all bars.
        rules: The rules of which it is an event, as bits in the order of `detectors.RULES`.
        label_dollar_volume_day: USD of the whole day: the one figure that looks ahead.
        volume_confirm: Share of the day's last bars, this one included, with a high spike_x.
        others: As in `features`; NaN where undefined.
    """

    row: Array
    rules: Array
    spike_x: Array
    dollar_volume_so_far: Array
    label_dollar_volume_day: Array
    vwap_rth: Array
    change_5m: Array
    drop_from_high: Array
    base_ratio: Array
    volume_confirm: Array
    run_green: Array
    run_red: Array


def scan(bars: pl.DataFrame, labels: Labels, settings: Events) -> tuple[Figures, int]:
    """Find the bars on which a rule is an event.

    Args:
        bars: Good bars within sessions (`schemas.BARS`), sorted by symbol and timestamp.
        labels: Their day and session.
        settings: The section `events`; detectors that are not in it find nothing.

    Returns:
        One entry per bar with an event, in the bars' order; and how many bars have a vwap that is
        not within the bar, which counts as not given.
    """
    one = _pass_over(bars, labels, settings)
    chunks = _chunks(one.starts, len(bars))
    found = list(map(one.scan, chunks) if len(chunks) == 1 else _threads().map(one.scan, chunks))
    parts = zip(*(figures for figures, _ in found), strict=True)
    return Figures(*map(np.concatenate, parts)), sum(outside for _, outside in found)


def with_figures(bars: pl.DataFrame, labels: Labels, settings: Events) -> pl.DataFrame:
    """Add to bars what the rules see on each of them, for charts.

    Args:
        bars: Good bars within sessions (`schemas.BARS`) of one symbol, sorted by timestamp.
        labels: Their day and session.
        settings: The section `events`.

    Returns:
        The bars with `minute` (after New York midnight), `spike_x`, `vwap_rth` and the opening
        range `or_low`, `or_high`; null where undefined, and the range also where its detector is
        switched off.
    """
    found = _pass_over(bars, labels, settings).bars(0, len(bars))
    fill(found)
    ranges = np.full((2, len(bars)), np.nan)
    rule = settings.detectors.get(OpeningRangeBreak.event_type)
    if isinstance(rule, OpeningRangeBreak):
        for i in range(len(bars)):
            ranges[:, i] = opening_range(found, i, rule.range_minutes, rule.min_bars)
    figures = {
        "spike_x": found.spike_x,
        "vwap_rth": found.vwap_rth,
        "or_low": ranges[0],
        "or_high": ranges[1],
    }
    return bars.with_columns(
        pl.Series("minute", labels.minute, pl.Int32),
        *(pl.Series(name, values).fill_nan(None) for name, values in figures.items()),
    )


def _pass_over(bars: pl.DataFrame, labels: Labels, settings: Events) -> _Pass:
    symbols = bars["symbol"].rle_id().to_numpy()
    new_day = (np.diff(labels.date) != 0) | (np.diff(symbols) != 0)
    starts = np.flatnonzero(np.concatenate([[True], new_day])[: len(bars)])
    columns = {name: read_only(bars[name].cast(pl.Float64).to_numpy()) for name in COLUMNS}
    return _Pass(columns, labels, starts, settings)


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(pl.thread_pool_size(), thread_name_prefix="scan")


def _chunks(starts: Array, rows: int) -> list[Rows]:
    """Cut rows at starts of days into pieces [begin, end) of about `CHUNK_BARS`."""
    after = np.searchsorted(starts, np.arange(CHUNK_BARS, rows, CHUNK_BARS))
    cuts = [0, *np.unique(starts[after[after < len(starts)]]).tolist(), rows]
    return list(pairwise(cuts))


class _Pass:
    """The bars of one scan, and the settings, in the form that compiled code takes."""

    def __init__(
        self, columns: dict[str, Array], labels: Labels, starts: Array, settings: Events
    ) -> None:
        self.columns = columns
        self.labels = labels
        self.starts = starts  # first row of each symbol and day
        start = settings.premarket_start
        self.premarket_minute = start.hour * 60 + start.minute
        self.features = record_of({"features": (type(settings.features), settings.features)})
        self.base_minutes = settings.features.base_minutes
        self.thresholds = thresholds_of(settings.detectors)
        self.wanted = sum(
            1 << rule for rule, (name, _) in enumerate(RULES) if name in settings.detectors
        )
        self.confirm = settings.score.confirm_bars, float(settings.score.confirm_spike_x)

    def scan(self, rows: Rows) -> tuple[Figures, int]:
        """Scan the rows [begin, end), which are whole days."""
        bars = self.bars(*rows)
        vwap_outside = fill(bars)
        rules = np.empty(bars.minute.size, np.int64)
        find(bars, self.thresholds, rules)
        rules &= self.wanted
        row = np.flatnonzero(rules)
        figures = Figures(row, rules[row], *(np.empty(row.size) for _ in Figures._fields[2:]))
        describe(bars, figures, *self.confirm)
        return figures._replace(row=row + rows[0]), vwap_outside

    def bars(self, begin: int, end: int) -> Bars:
        """Return the rows [begin, end) as compiled code takes them."""
        starts = self.starts[slice(*np.searchsorted(self.starts, [begin, end]))] - begin
        rows, there = end - begin, slice(begin, end)
        return Bars(
            day_start=np.repeat(starts, np.diff(starts, append=rows)),
            minute=self.labels.minute[there],
            close_minute=self.labels.close_minute[there],
            session=self.labels.session[there],
            **{name: column[there] for name, column in self.columns.items()},
            premarket_minute=self.premarket_minute,
            settings=self.features,
            scratch=np.empty(self.base_minutes),
            rth_start=np.empty(rows, np.int64),
            spike_x=np.empty(rows),
            day_high=np.empty(rows),
            dollar_volume_so_far=np.empty(rows),
            vwap_rth=np.empty(rows),
        )


@compiled
def find(b: Bars, thresholds: Record, found: Array) -> None:
    """Fill in of which rules each bar is an event, as bits.

    Every rule is armed as a day begins; an event disarms it.
    """
    t: Thresholds = thresholds[0]
    armed = ALL
    for i in range(b.minute.size):
        if b.day_start[i] == i:
            armed = ALL
        holds = holding(b, i, t)
        armed |= arming(b, i, t, holds, ~armed)
        found[i] = holds & armed
        armed &= ~found[i]


@compiled
def describe(b: Bars, figures: Figures, confirm_bars: int, confirm_spike_x: float) -> None:
    """Fill in the figures of the bars on which an event is."""
    for at in range(figures.row.size):
        i = figures.row[at]
        figures.spike_x[at] = b.spike_x[i]
        figures.dollar_volume_so_far[at] = b.dollar_volume_so_far[i]
        figures.label_dollar_volume_day[at] = b.dollar_volume_so_far[_day_end(b, i)]
        figures.vwap_rth[at] = b.vwap_rth[i]
        figures.change_5m[at] = change(b, i, 5)  # whatever price_momentum looks back on
        figures.drop_from_high[at] = drop_from_high(b, i)
        figures.base_ratio[at] = base_ratio(b, i)
        figures.volume_confirm[at] = _confirmed(b, i, confirm_bars, confirm_spike_x)
        figures.run_green[at] = run_green(b, i)
        figures.run_red[at] = run_red(b, i)


@compiled
def _day_end(b: Bars, i: int) -> int:
    """Return the row of the last bar of the day."""
    row = i
    while row + 1 < b.day_start.size and b.day_start[row + 1] == b.day_start[i]:
        row += 1
    return row


@compiled
def _confirmed(b: Bars, i: int, bars: int, spike_x: float) -> float:
    """Return the share of the day's last bars with a high spike_x; fewer as the day begins."""
    first = max(b.day_start[i], i - bars + 1)
    count = 0
    for row in range(first, i + 1):
        if at_least(b.spike_x[row], spike_x):
            count += 1
    return count / (i + 1 - first)
