"""Features of a bar (SPEC §2): what is known when its minute is over.

A feature is a named column. Detectors and the score refer to features by the functions below,
which return expressions; `add_features` computes exactly those that the expressions name. So a
detector may use a window of any length without this module knowing of it.

W(t, m) is the set of bars of the same symbol and trading day with t - m min <= timestamp < t.
Nothing looks past t, nothing looks across trading days. Undefined is null.

The functions rely on the rows' order: sorted by symbol and timestamp, with the columns `row`,
`day_start` (row of the day's first bar) and `clock` that `add_features` adds.
Keep out: thresholds and what makes an event (`detectors`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final

import numpy as np
import polars as pl

from smallcaps_pipeline.bars import trusted_vwap
from smallcaps_pipeline.events import kernels
from smallcaps_pipeline.sessions import RTH_OPEN_MINUTE, Session
from smallcaps_pipeline.settings import Events
from smallcaps_pipeline.thresholds import above, below

# Minutes between the clocks of two symbol-days: longer than a day and the longest window.
CLOCK_STRIDE: Final = 4 * 1440

OPEN, HIGH, LOW, CLOSE = pl.col("open"), pl.col("high"), pl.col("low"), pl.col("close")
VOLUME, TRANSACTIONS = pl.col("volume"), pl.col("transactions")
MINUTE, CLOSE_MINUTE = pl.col("minute"), pl.col("close_minute")
ROW, DAY_START = pl.col("row"), pl.col("day_start")

DOLLAR_VOLUME = pl.col("dollar_volume")
DOLLAR_VOLUME_SO_FAR = pl.col("dollar_volume_so_far")
SPIKE_X = pl.col("spike_x")
TAPE_X = pl.col("tape_x")
GREEN, RED = above(CLOSE, OPEN), below(CLOSE, OPEN)
RUN_GREEN, RUN_RED = pl.col("run_green"), pl.col("run_red")
DAY_HIGH = pl.col("day_high")
DROP_FROM_HIGH = (DAY_HIGH - CLOSE) / DAY_HIGH
VWAP_RTH = pl.col("vwap_rth")
VWAP_DISTANCE = CLOSE / VWAP_RTH - 1
BASE_RATIO = pl.col("base_ratio")
IN_RTH = pl.col("session") == Session.RTH.value


def window_high(minutes: int) -> pl.Expr:
    """Return the highest high over W(t, minutes); null where the window is empty."""
    return pl.col(f"window_high_{minutes}m")


def window_low(minutes: int) -> pl.Expr:
    """Return the lowest low over W(t, minutes); null where the window is empty."""
    return pl.col(f"window_low_{minutes}m")


def close_ago(minutes: int) -> pl.Expr:
    """Return the close of the day's last bar with timestamp <= t - minutes; null if none."""
    return pl.col(f"close_ago_{minutes}m")


def change(minutes: int) -> pl.Expr:
    """Return close / close as of t - minutes - 1."""
    return CLOSE / close_ago(minutes) - 1


def opening_high(minutes: int) -> pl.Expr:
    """Return the highest high of the day's bars in the first minutes of RTH, once they are over."""
    return pl.col(f"opening_high_{minutes}m")


def opening_low(minutes: int) -> pl.Expr:
    """Return the lowest low of the day's bars in the first minutes of RTH, once they are over."""
    return pl.col(f"opening_low_{minutes}m")


def opening_bars(minutes: int) -> pl.Expr:
    """Return the number of bars in the first minutes of RTH, once they are over."""
    return pl.col(f"opening_bars_{minutes}m")


def previous(value: pl.Expr) -> pl.Expr:
    """Return a value of the previous bar (row, however old) of the day; null on the first."""
    return pl.when(ROW > DAY_START).then(value.shift(1))


def run_length(flag: pl.Expr) -> pl.Expr:
    """Return how many consecutive bars of the day, this one the last, have the flag (0 if not)."""
    broken_at = pl.when(~flag.fill_null(False)).then(ROW).forward_fill()
    return ROW - pl.max_horizontal(broken_at, DAY_START - 1)


def run_starts(flag: pl.Expr) -> pl.Expr:
    """Return whether a bar is the first of a run of consecutive bars of the day with the flag."""
    return flag & ~previous(flag).fill_null(False)


def first_since(condition: pl.Expr, reset: pl.Expr) -> pl.Expr:
    """Return the first bars on which a condition holds since the last reset or the day's start.

    A bar that resets counts as after its own reset.
    """
    held = condition.fill_null(False)
    count = held.cast(pl.Int64).cum_sum()
    starts = reset.fill_null(False) | (ROW == DAY_START)
    before = pl.when(starts).then(count - held.cast(pl.Int64)).forward_fill()
    return held & (count - before == 1)


def minutes_since_last(flag: pl.Expr) -> pl.Expr:
    """Return the minutes from the last bar before this one with the flag; null if the day has none.

    The bar itself is not looked at.
    """
    last = pl.when(flag).then(ROW).forward_fill().shift(1)
    clock_of_last = pl.when(flag).then(pl.col("clock")).forward_fill().shift(1)
    return pl.when(last >= DAY_START).then(pl.col("clock") - clock_of_last)


def add_features(
    bars: pl.DataFrame, expressions: Iterable[pl.Expr], settings: Events
) -> pl.DataFrame:
    """Add to bars the features that expressions name.

    A feature with a length has it in its name: the column `window_high_20m` that `window_high(20)`
    refers to is found among the expressions' columns, and computed by the builder `window_high`.

    Args:
        bars: Clean bars within sessions, sorted by symbol and timestamp, with `date`, `minute`,
            `close_minute` and `session` of `sessions.add_sessions`.
        expressions: What will be evaluated on the result.
        settings: The `events` section.

    Returns:
        The bars in their order with `row`, `day_start`, `clock` and the features.
    """
    frame = _add_clock(bars).with_columns(dollar_volume=CLOSE * VOLUME)
    window = _Windows(frame)
    frame = frame.with_columns(
        window.day_high(),
        window.dollar_volume_so_far(),
        window.spike_x(settings),
        window.tape_x(settings),
        window.vwap_rth(),
        run_length(GREEN).alias("run_green"),
        run_length(RED).alias("run_red"),
    )
    needed = {name for expression in expressions for name in expression.meta.root_names()}
    return frame.with_columns(
        series
        for name in sorted(needed - set(frame.columns))
        if (series := window.named(name)) is not None
    )


def add_base(bars: pl.DataFrame, wanted: pl.Series, settings: Events) -> pl.DataFrame:
    """Add `base_ratio` on the wanted bars; null on the others.

    The median in it costs more than all other features together, and only bars that break out of a
    window, or are events, ask for it.
    """
    return bars.with_columns(_Windows(bars).base_ratio(wanted, settings))


def _add_clock(bars: pl.DataFrame) -> pl.DataFrame:
    new_day = (pl.col("symbol") != pl.col("symbol").shift(1)) | (
        pl.col("date") != pl.col("date").shift(1)
    )
    return (
        bars.with_row_index("row")
        .with_columns(pl.col("row").cast(pl.Int64), new_day=new_day.fill_null(True))
        .with_columns(
            day_start=pl.when("new_day").then("row").forward_fill(),
            clock=pl.col("new_day").cast(pl.Int64).cum_sum() * CLOCK_STRIDE + MINUTE,
        )
        .drop("new_day")
    )


class _Windows:
    """The compiled features of one frame of bars; window bounds are found once per length."""

    def __init__(self, bars: pl.DataFrame) -> None:
        self.bars = bars
        self.clock = bars["clock"].to_numpy()
        self.day_start = bars["day_start"].to_numpy()
        self._first: dict[int, kernels.Array] = {}
        self._builders: dict[str, Callable[[int], pl.Series]] = {
            "window_high": self._window_high,
            "window_low": self._window_low,
            "close_ago": self._close_ago,
            "opening_high": self._opening_high,
            "opening_low": self._opening_low,
            "opening_bars": self._opening_bars,
        }

    def named(self, name: str) -> pl.Series | None:
        """Compute a feature by the name that its function gave it; None for other columns."""
        matched = re.fullmatch(r"(\w+)_(\d+)m", name)
        if matched is None or matched[1] not in self._builders:
            return None
        return self._builders[matched[1]](int(matched[2])).alias(name)

    def first(self, minutes: int) -> kernels.Array:
        if minutes not in self._first:
            self._first[minutes] = kernels.window_first(self.clock, minutes)
        return self._first[minutes]

    def floats(self, name: str) -> kernels.Array:
        return self.bars[name].cast(pl.Float64).to_numpy()

    def count(self, minutes: int) -> kernels.Array:
        return np.arange(self.clock.size) - self.first(minutes)

    def day_high(self) -> pl.Series:
        return pl.Series("day_high", kernels.running_max(self.floats("high"), self.day_start))

    def dollar_volume_so_far(self) -> pl.Series:
        so_far = kernels.running_sum(self.floats("dollar_volume"), self.day_start)
        return pl.Series("dollar_volume_so_far", so_far)

    def minutes_traded(self, settings: Events) -> pl.Series:
        """Minutes of the baseline that lie after the premarket's start; null for none."""
        start = settings.premarket_start
        so_far = self.bars["minute"] - (start.hour * 60 + start.minute)
        return so_far.clip(upper_bound=settings.features.baseline_minutes).replace(0, None)

    def spike_x(self, settings: Events) -> pl.Series:
        features = settings.features
        volume = kernels.window_sum(self.floats("volume"), self.first(features.baseline_minutes))
        baseline = pl.Series(volume) / self.minutes_traded(settings)
        floor = baseline.clip(lower_bound=features.baseline_floor_shares)
        return (self.bars["volume"] / floor).alias("spike_x")

    def tape_x(self, settings: Events) -> pl.Series:
        features = settings.features
        first = self.first(features.baseline_minutes)
        given = self.bars["transactions"].is_not_null()
        missing = kernels.window_sum((~given).cast(pl.Float64).to_numpy(), first)
        trades = self.bars["transactions"].fill_null(0).cast(pl.Float64)
        mean = pl.Series(kernels.window_sum(trades.to_numpy(), first))
        floor = (mean / self.minutes_traded(settings)).clip(lower_bound=features.tape_floor)
        tape_x = self.bars["transactions"] / floor
        return tape_x.set(pl.Series(missing > 0), None).alias("tape_x")

    def vwap_rth(self) -> pl.Series:
        in_sum = self.bars["minute"] >= RTH_OPEN_MINUTE
        price = self.bars.select(pl.coalesce(trusted_vwap(), (HIGH + LOW + CLOSE) / 3)).to_series()
        volume = self.bars["volume"] * in_sum.cast(pl.Float64)
        shares = pl.Series(kernels.running_sum(volume.to_numpy(), self.day_start))
        dollars = pl.Series(kernels.running_sum((price * volume).to_numpy(), self.day_start))
        return (dollars / shares).set(~in_sum | (shares == 0), None).alias("vwap_rth")

    def base_ratio(self, wanted: pl.Series, settings: Events) -> pl.Series:
        features = settings.features
        first, count = self.first(features.base_minutes), self.count(features.base_minutes)
        in_rth = (self.bars["session"] == Session.RTH.value).to_numpy()
        least = np.where(in_rth, features.base_min_bars.rth, features.base_min_bars.extended)
        asked = wanted.to_numpy() & (count >= least)
        spread = ((self.bars["high"] - self.bars["low"]) / self.bars["open"]).to_numpy()
        atr = pl.Series(kernels.window_median(spread, first, asked)).fill_nan(None)
        height = self._window_high(features.base_minutes) - self._window_low(features.base_minutes)
        height = height / self.bars["close"].shift(1)  # the window's last bar is the previous row
        scale = atr * pl.Series(np.sqrt(count))
        return (height / scale).set(scale == 0, None).alias("base_ratio")

    def _window_high(self, minutes: int) -> pl.Series:
        highest = kernels.window_max(self.floats("high"), self.first(minutes))
        return pl.Series(highest).set(pl.Series(self.count(minutes) == 0), None)

    def _window_low(self, minutes: int) -> pl.Series:
        lowest = -kernels.window_max(-self.floats("low"), self.first(minutes))
        return pl.Series(lowest).set(pl.Series(self.count(minutes) == 0), None)

    def _close_ago(self, minutes: int) -> pl.Series:
        rows = pl.Series(kernels.last_row_at(self.clock, self.day_start, minutes))
        return self.bars["close"].gather(rows.set(rows < 0, None))

    def _opening(self, minutes: int, figure: pl.Expr) -> pl.Series:
        ends = RTH_OPEN_MINUTE + minutes
        ranges = (
            self.bars.lazy()
            .filter(MINUTE.is_between(RTH_OPEN_MINUTE, ends, closed="left"))
            .group_by("day_start")
            .agg(figure.alias("figure"))
        )
        return (
            self.bars.lazy()
            .select("day_start", "minute")
            .join(ranges, on="day_start", how="left", maintain_order="left", validate="m:1")
            .select(pl.when(ends <= MINUTE).then("figure"))
            .collect()
            .to_series()
        )

    def _opening_high(self, minutes: int) -> pl.Series:
        return self._opening(minutes, HIGH.max())

    def _opening_low(self, minutes: int) -> pl.Series:
        return self._opening(minutes, LOW.min())

    def _opening_bars(self, minutes: int) -> pl.Series:
        return self._opening(minutes, pl.len())
