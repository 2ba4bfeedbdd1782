"""Jobs: one per stage, for schedules, sensors, the command and the launchpad."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Final

import dagster as dg

REFERENCE: Final = "reference_job"
DAILY_BARS: Final = "daily_bars_job"
NEWS: Final = "news_job"
UNIVERSE: Final = "universe_job"
BARS: Final = "bars_job"
DAY_FILES: Final = "day_files_job"
COMPARISON: Final = "bar_comparison_job"
COVERAGE: Final = "coverage_job"
EVENTS: Final = "events_job"
SUMMARY: Final = "event_summary_job"
MANIFEST: Final = "manifest_job"
DOWNLOAD: Final = "download_job"
REPORT: Final = "report_job"

_STAGES: Final = {
    REFERENCE: (
        ["ticker_details", "short_interest", "float_shares", "splits", "dividends"],
        "Fetch what is known of the stocks: details, short interest, float, splits, dividends.",
    ),
    DAILY_BARS: (["daily_bars"], "Fetch daily bars of the whole market, one call a day."),
    NEWS: (["news"], "Fetch the news of all symbols, a call or two a day."),
    UNIVERSE: (["universe"], "Rank the universe; fills the symbol partitions."),
    BARS: (["bars_1m"], "Fetch the 1-minute bars that are not there yet."),
    DAY_FILES: (["flat_file_days"], "Fetch day files of the whole market: new and replaced ones."),
    COVERAGE: (["bar_coverage"], "Say what is there of the bars, what is missing and suspect."),
    COMPARISON: (["bar_comparison"], "Hold a sample of bars by REST against the day files."),
    EVENTS: (["intraday_events"], "Detect events where bars or thresholds have changed."),
    SUMMARY: (["event_summary"], "Count the events."),
    MANIFEST: (
        ["event_manifest", "window_plan"],
        "Choose the events worth paying for and plan their downloads; spends nothing.",
    ),
    DOWNLOAD: (
        ["trade_windows", "quote_windows", "micro_quality", "micro_features"],
        "Fetch trades, then quotes, of a batch of windows; check them, and compute their figures.",
    ),
    REPORT: (
        ["review_sample", "go_no_go"],
        "Draw the review sample and write the GO / NO-GO page of a profile.",
    ),
}


@cache
def job(name: str) -> dg.UnresolvedAssetJobDefinition:
    """Return a job by its name: one object, which schedules and sensors share."""
    assets, description = _STAGES[name]
    return dg.define_asset_job(name, selection=assets, description=description)


def assets_of(name: str) -> frozenset[dg.AssetKey] | None:
    """Return the assets that a job makes; None for a job that is none of ours."""
    return frozenset(map(dg.AssetKey, _STAGES[name][0])) if name in _STAGES else None


def all_jobs() -> Sequence[dg.UnresolvedAssetJobDefinition]:
    """Return all jobs."""
    return [job(name) for name in _STAGES]
