"""What holds for all bars: no look-ahead, no order of rows, no symbol or day sees another."""

from __future__ import annotations

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from smallcaps_pipeline.events import detect_events
from smallcaps_pipeline.schemas import EVENTS
from smallcaps_pipeline.sessions import trading_day
from smallcaps_pipeline_tests.events.agreement import settings_with
from smallcaps_pipeline_tests.events.builders import DAY, DAYS, Market, bar, frame, quiet
from smallcaps_pipeline_tests.events.raised import raw

few = settings(
    max_examples=6, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
seeds = st.integers(0, 10**6)
ROW = [*EVENTS.key, "score", "spike_x", "base_ratio", "vwap_rth", "dollar_volume_so_far"]


def a_market(seed: int, **traits: object) -> Market:
    """Two symbols, two days: enough for tens of events of many types."""
    return Market(
        seed,
        **{  # type: ignore[arg-type]
            "symbols": ("AEMD", "BAPA"),
            "days": (DAY, DAYS[5]),
            "density": (0.2, 0.6, 0.2),
            **traits,
        },
    )


@few
@given(seeds, st.floats(0.1, 0.95))
def test_bars_after_t_change_no_event_known_at_t(seed: int, share: float) -> None:
    bars = frame(a_market(seed).bars())
    t = bars["timestamp"].sort()[int(share * len(bars))]
    known = raw(bars.filter(pl.col("timestamp") <= t)).select(ROW)
    of_all = raw(bars).filter(pl.col("timestamp") <= t).select(ROW)
    assert_frame_equal(known, of_all, check_exact=True)


@few
@given(seeds, st.floats(0.1, 0.95))
def test_live_settings_give_at_t_what_they_give_later(seed: int, share: float) -> None:
    """`dollar_volume_basis: so_far` and `duplicates.keep: first` take all look-ahead out."""
    live = settings_with("so_far", "first")
    bars = frame(a_market(seed).bars())
    t = bars["timestamp"].sort()[int(share * len(bars))]
    known = detect_events(bars.filter(pl.col("timestamp") <= t), live)
    of_all = detect_events(bars, live).filter(pl.col("timestamp") <= t)
    looks_ahead = "label_dollar_volume_day"
    assert_frame_equal(known.drop(looks_ahead), of_all.drop(looks_ahead), check_exact=True)


def test_shipped_settings_do_look_ahead() -> None:
    """By choice: the day's volume is the whole day's. So the property above can fail."""
    spike = [*quiet("09:40", 20, 10.0, 1_000), bar("10:00", 10.1, 20_000, open_=10.0)]
    later = bar("10:10", 10.0, 100_000)  # makes 500,000 USD of the day's 402,000
    assert detect_events(frame(spike)).is_empty()
    assert "volume_spike" in detect_events(frame([*spike, later]))["event_type"]
    live = settings_with("so_far", "first")
    assert detect_events(frame([*spike, later]), live).is_empty()


@few
@given(seeds)
def test_row_order_never_matters(seed: int) -> None:
    bars = frame(a_market(seed).bars())
    shuffled = bars.sample(fraction=1.0, shuffle=True, seed=seed)
    assert_frame_equal(detect_events(bars), detect_events(shuffled), check_exact=True)
    assert_frame_equal(detect_events(bars), detect_events(bars.reverse()), check_exact=True)


@few
@given(seeds)
def test_symbols_and_days_do_not_see_each_other(seed: int) -> None:
    bars = frame(a_market(seed).bars())
    together = detect_events(bars)
    days = bars.with_columns(day=trading_day(pl.col("timestamp"))).partition_by("symbol", "day")
    apart = pl.concat([detect_events(day) for day in days]).sort(EVENTS.key)
    assert_frame_equal(together, apart, check_exact=True)


@few
@given(seeds)
def test_every_event_is_within_its_limits(seed: int) -> None:
    events = detect_events(frame(a_market(seed).bars()))
    assert events.schema == EVENTS.schema
    assert events.select(EVENTS.key).is_unique().all()
    assert events["event_id"].is_unique().all()
    assert events["score"].is_between(0, 1).all()
    assert events["close"].is_between(1, 500).all()
    assert events.equals(events.sort(EVENTS.key))
    floats = events.select(pl.col(pl.Float64))
    assert not floats.select(pl.any_horizontal(pl.all().is_nan()).any()).item()


def test_lazy_bars_and_other_time_zones_are_the_same_bars() -> None:
    bars = frame(a_market(1).bars())
    local = bars.with_columns(pl.col("timestamp").dt.convert_time_zone("America/New_York"))
    nanoseconds = bars.with_columns(pl.col("timestamp").dt.cast_time_unit("ns"))
    expected = detect_events(bars)
    assert len(expected) > 10
    for same in (bars.lazy(), local, nanoseconds):
        assert_frame_equal(detect_events(same), expected, check_exact=True)


def test_integer_volumes_are_the_same_bars() -> None:
    bars = frame(a_market(2, coarse=True).bars())
    whole = bars.with_columns(pl.col("volume").cast(pl.Int64))
    assert_frame_equal(detect_events(whole), detect_events(bars), check_exact=True)
