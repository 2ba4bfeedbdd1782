"""The evidence: all that a report rests on, read from the lake.

Belongs here: which files hold what a page shows.
Keep out: what the page makes of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from itertools import chain
from typing import Any

import polars as pl

from smallcaps_pipeline.bars.update import TABLE as BARS_TABLE
from smallcaps_pipeline.cells import Cadence, period_of
from smallcaps_pipeline.lake import Lake, read_metadata
from smallcaps_pipeline.report.costs import Spent, expected_cost, spent
from smallcaps_pipeline.report.escalation import Release, profile_after, release_of
from smallcaps_pipeline.report.journal import read_labels
from smallcaps_pipeline.report.labels import standing_labels
from smallcaps_pipeline.schemas import (
    BARS,
    EVENTS,
    FUNNEL,
    LABELS,
    MANIFEST,
    MICRO_FEATURES,
    REVIEW_SAMPLE,
    UNIVERSE,
)
from smallcaps_pipeline.sessions import trading_day
from smallcaps_pipeline.settings import Settings
from smallcaps_pipeline.windows import Estimate, Kind, read_interval


@dataclass(frozen=True)
class BarCoverage:
    """What bars there are: cells (symbol x period), and symbols of the universe without any."""

    symbols: int
    cells: int
    missing: tuple[str, ...]


@dataclass(frozen=True)
class Evidence:
    """What a report of one profile rests on; what is missing is None or empty.

    Attributes:
        profile: Name of the manifest's profile.
        events: `schemas.EVENTS`: all that were detected.
        manifest: `schemas.MANIFEST` of the profile.
        funnel: `schemas.FUNNEL` of that manifest.
        notes: The manifest's notes, in plain words.
        features: `schemas.MICRO_FEATURES`, one row per event whose window is stored.
        sample: `schemas.REVIEW_SAMPLE`.
        labels: `schemas.LABELS` of the sample's events, of all reviewers.
        bars: `schemas.BARS` of the days of the events that are shown with charts.
        trades, quotes: Ticks of their windows, with `symbol`.
        spent: What the stored windows took, by kind.
        next_cost: What the profile after this one would cost.
        release: Whether the profile after this one may spend; None for the last.
        own_release: Whether this profile may spend.
        coverage: Which bars there are.
        banner: Said on top of data that are not the provider's own; empty for those.
    """

    profile: str
    events: pl.DataFrame
    manifest: pl.DataFrame | None = None
    funnel: pl.DataFrame | None = None
    notes: tuple[str, ...] = ()
    features: pl.DataFrame | None = None
    sample: pl.DataFrame | None = None
    labels: pl.DataFrame = field(default_factory=LABELS.empty)
    bars: pl.DataFrame | None = None
    trades: pl.DataFrame | None = None
    quotes: pl.DataFrame | None = None
    spent: dict[Kind, Spent] = field(default_factory=dict)
    next_cost: Estimate | None = None
    release: Release | None = None
    own_release: Release | None = None
    coverage: BarCoverage | None = None
    banner: str = ""

    @property
    def standing(self) -> pl.DataFrame:
        """The label of each judged event: what most reviewers say (`event_id`, `label`)."""
        return standing_labels(self.labels)


def gather(lake: Lake, profile: str, settings: Settings, *, banner: str = "") -> Evidence:
    """Read what there is of a profile's evidence.

    Raises:
        LakeError: A file is damaged; the message names it.
    """
    events = lake.scan(lake.files(EVENTS.name), EVENTS).collect()
    after = profile_after(profile, settings)
    file = lake.profile(MANIFEST.name, profile)
    manifest = lake.read(file, MANIFEST) if file.exists() else None
    about = read_metadata(file) or {}
    shown = MANIFEST.empty()
    if manifest is not None:
        shown = pl.concat(best_and_worst(manifest, settings.report.best_and_worst))
    sample = sample_of(lake, profile)
    return Evidence(
        profile=profile,
        events=events,
        manifest=manifest,
        funnel=pl.DataFrame(about["funnel"], schema=FUNNEL.schema) if about else None,
        notes=tuple(about.get("notes", ())),
        features=features_of(lake, profile),
        sample=sample,
        labels=labels_of_sample(lake, sample),
        bars=bars_of(lake, shown, settings.partitions.date),
        trades=ticks_of(lake, shown, Kind.TRADES),
        quotes=ticks_of(lake, shown, Kind.QUOTES),
        spent=spent(lake, settings),
        next_cost=None if after is None else expected_cost(lake, events, after, settings),
        release=None if after is None else release_of(lake, after, settings),
        own_release=release_of(lake, profile, settings),
        coverage=bar_coverage(lake),
        banner=banner,
    )


def best_and_worst(manifest: pl.DataFrame, how_many: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the first and the last rows by rank; no row is in both."""
    rows = manifest.sort("rank")
    best = rows.head(how_many)
    return best, rows.slice(best.height).tail(how_many)


def sample_of(lake: Lake, profile: str) -> pl.DataFrame | None:
    """Return the review sample of a profile; None where none was drawn."""
    file = lake.profile(REVIEW_SAMPLE.name, profile)
    return lake.read(file, REVIEW_SAMPLE) if file.exists() else None


def labels_of_sample(lake: Lake, sample: pl.DataFrame | None) -> pl.DataFrame:
    """Return what everybody says of a sample's events (`schemas.LABELS`)."""
    if sample is None:
        return LABELS.empty()
    return read_labels(lake).filter(pl.col("event_id").is_in(sample["event_id"].implode()))


def bars_of(lake: Lake, events: pl.DataFrame, cadence: Cadence) -> pl.DataFrame:
    """Return the bars of some events' symbols and trading days (`schemas.BARS`).

    Args:
        lake: Where they lie.
        events: Rows with symbol and date (YYYY-MM-DD).
        cadence: The length of a period, `partitions.date`.

    Raises:
        LakeError: A file is damaged; the message names it.
    """
    days = events.select("symbol", pl.col("date").str.to_date()).unique()
    files = {
        lake.cell(BARS_TABLE, symbol, period_of(day, cadence).key)
        for symbol, day in days.iter_rows()
    }
    wanted = days.rename({"date": "day"})
    new_york = trading_day(pl.col("timestamp"))
    parts = [
        lake.read(file, BARS)
        .with_columns(day=new_york)
        .join(wanted, on=["symbol", "day"], how="semi")
        for file in sorted(files)
        if file.exists()
    ]
    return pl.concat([BARS.empty(), *(part.drop("day") for part in parts)])


def events_of(lake: Lake, event: Mapping[str, Any], cadence: Cadence) -> pl.DataFrame:
    """Return the events of the cell that holds an event (`schemas.EVENTS`).

    Raises:
        LakeError: The file is damaged; the message names it.
    """
    period = period_of(date.fromisoformat(event["date"]), cadence)
    file = lake.cell(EVENTS.name, event["symbol"], period.key)
    return lake.read(file, EVENTS) if file.exists() else EVENTS.empty()


def ticks_of(lake: Lake, events: pl.DataFrame, kind: Kind) -> pl.DataFrame | None:
    """Return the stored trades or quotes of some events' windows, with `symbol`; None of none."""
    windows = events.select("symbol", "window_start", "window_end").unique(maintain_order=True)
    parts = [
        read_interval(lake, symbol, kind, (start, end)).with_columns(symbol=pl.lit(symbol))
        for symbol, start, end in windows.iter_rows()
    ]
    return pl.concat(parts) if parts else None


def features_of(lake: Lake, profile: str) -> pl.DataFrame | None:
    """Return the figures of a profile's events (`schemas.MICRO_FEATURES`); None without any."""
    files = lake.files(MICRO_FEATURES.name)
    if not files:
        return None
    frame = lake.scan(files, MICRO_FEATURES).filter(pl.col("profile") == profile)
    return frame.unique("event_id", keep="last", maintain_order=True).collect()


def bar_coverage(lake: Lake) -> BarCoverage:
    """Count the cells of bars, and name the symbols of the universe without one."""
    cells = [symbol for symbol, _, _ in lake.cells(BARS_TABLE)]
    file = lake.table(UNIVERSE.name)
    ranked = lake.read(file, UNIVERSE)["symbol"].to_list() if file.exists() else []
    return BarCoverage(len(set(cells)), len(cells), tuple(sorted(set(ranked) - set(cells))))


def sources(lake: Lake) -> set[str]:
    """Return where bars, trades and quotes of the lake came from."""
    bars = (file for _, _, file in lake.cells(BARS_TABLE))
    files = chain(bars, *(lake.window_files(kind.value) for kind in Kind))
    return {(read_metadata(file) or {}).get("source", "") for file in files}
