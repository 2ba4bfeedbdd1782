"""The baselines of the benchmarks find the product's events: else they would measure nothing."""

from __future__ import annotations

from datetime import date
from functools import cache
from pathlib import Path
from types import ModuleType

import polars as pl
import pytest

from benchmarks.bars import bars_of
from benchmarks.baselines import day_loop, duckdb_rules, pandas_rules
from benchmarks.sample import write_sample
from smallcaps_pipeline.bars import clean_bars
from smallcaps_pipeline.events.detectors import RULES
from smallcaps_pipeline.schemas import BARS, EVENTS
from smallcaps_pipeline.settings import Settings
from smallcaps_pipeline_tests.events.agreement import changed
from smallcaps_pipeline_tests.events.builders import DAYS, Market, frame
from smallcaps_pipeline_tests.events.raised import SHIPPED, raw

BASELINES = (day_loop, pandas_rules, duckdb_rules)


@cache
def awkward() -> pl.DataFrame:
    """Return clean bars of every kind of day: holes, nights, holidays, no counts, odd VWAPs."""
    good, _ = clean_bars(frame(Market(3, days=DAYS, density=(0.3, 0.8, 0.3)).bars()))
    return good


def other() -> Settings:
    """Return settings that move every rule: a baseline with a number of its own is found out."""
    detectors = SHIPPED.model_dump(serialize_as_any=True)["events"]["detectors"]
    return changed(
        {
            "features": {"baseline_minutes": 12, "base_minutes": 25},
            "detectors": {
                "volume_spike": {**detectors["volume_spike"], "skip_after_open_minutes": 0},
                "vwap_break": {**detectors["vwap_break"], "require_failed_reclaim": False},
                "price_momentum": {
                    **detectors["price_momentum"],
                    "change_minutes": 3,
                    "extreme_minutes": 10,
                },
                "consolidation_break": {**detectors["consolidation_break"], "max_base_ratio": 0.8},
                "opening_range_break": {**detectors["opening_range_break"], "range_minutes": 30},
                "tape_speed": {**detectors["tape_speed"], "tape_x": 2.0},
                "flush": {**detectors["flush"], "fall_minutes": 8},
            },
        }
    )


@pytest.mark.parametrize("baseline", BASELINES, ids=lambda module: module.__name__.split(".")[-1])
@pytest.mark.parametrize("settings", [SHIPPED, other()], ids=["shipped", "other"])
def test_baseline_finds_the_events_of_the_product(
    baseline: ModuleType, settings: Settings, tmp_path: Path
) -> None:
    sample = write_sample(tmp_path, "AEMD", awkward())
    expected = raw(awkward(), settings).select(EVENTS.key)
    found_rules = set(expected.select("event_type", "direction").unique().iter_rows())
    assert found_rules == {(event_type, way.value) for event_type, way in RULES}
    files = sample.day_files if baseline is day_loop else sample.cells
    found: pl.DataFrame = baseline.events(files, settings.events)
    assert found.equals(expected)


def test_generated_bars_are_sound_sorted_and_the_same_again() -> None:
    bars = bars_of("BNCH", 30, date(2025, 11, 3))  # the Friday of Thanksgiving closes early
    good, aside = clean_bars(bars)
    assert good.equals(bars)
    assert aside.is_empty()
    assert bars.schema == BARS.schema
    assert bars_of("BNCH", 30, date(2025, 11, 3)).equals(bars)
    assert not bars_of("OTHR", 30, date(2025, 11, 3))["close"].equals(bars["close"])
