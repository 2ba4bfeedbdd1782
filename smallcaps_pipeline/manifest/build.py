"""Builds a manifest: all events in, the ones worth fetching out.

Belongs here: the order of the stages and of the profiles. Keep out: what each stage decides.

A profile first takes the manifest of the profile before it in the settings. Those rows, and held
ones, are *kept*: they pass every stage without being looked at, so each stage's count contains
them and the last count is the number of rows. Held events that are not asked for do not move the
score percentile.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from smallcaps_pipeline.manifest.candidates import full_rows, read_candidates
from smallcaps_pipeline.manifest.cohorts import with_windows
from smallcaps_pipeline.manifest.filters import has_score, is_liquid, represents_group
from smallcaps_pipeline.manifest.held import Held, read_held
from smallcaps_pipeline.manifest.limits import limits_of
from smallcaps_pipeline.manifest.notes import Outcome, notes_on
from smallcaps_pipeline.manifest.passes import FILL_NAMES, FREE, Array, Fill, select_rows
from smallcaps_pipeline.schemas import EVENTS, FUNNEL, MANIFEST
from smallcaps_pipeline.sessions import require_aware
from smallcaps_pipeline.settings import Manifest as ManifestSettings
from smallcaps_pipeline.settings import Settings, load_settings

STAGES = ("asked", "score", "liquidity", "group", "selection")


@dataclass(frozen=True)
class Manifest:
    """The events chosen for download.

    Attributes:
        frame: One row per chosen event, by rank (`schemas.MANIFEST`).
        funnel: Events into and out of each stage, in order (`schemas.FUNNEL`).
        notes: What could not be met, in plain words, each with its settings key.
    """

    frame: pl.DataFrame
    funnel: pl.DataFrame
    notes: list[str]


def build_manifest(
    events: pl.DataFrame | pl.LazyFrame,
    profile: str = "core",
    *,
    held: Held | None = None,
    settings: Settings | None = None,
) -> Manifest:
    """Choose the events worth fetching.

    Args:
        events: Rows of `schemas.EVENTS`, any symbols and days, in any order. Rows that repeat an
            event_id count once.
        profile: A profile of `manifest.profiles`. The profiles before it in the settings are built
            first, from the same events, and their rows are taken over.
        held: Events whose windows are stored or under way: a frame with `event_id`, or any
            iterable of ids. With a column `profile` (as in a manifest's own rows) an event is held
            in that profile and those after it, without it in all. A column `fill` is kept. Held
            events are in the manifest whatever filters and caps say, count in total, caps and
            quotas, and represent their group.
        settings: None takes `load_settings()`.

    Returns:
        The manifest. Ranks, fills and windows depend on the events, never on their row order.

    Raises:
        ValueError: `profile` is none of the settings.
        NaiveTimestampError: `timestamp` has no time zone.
        SchemaError: A column of EVENTS is missing.
    """
    chosen_settings = (settings or load_settings()).manifest
    names = list(chosen_settings.profiles)
    if profile not in names:
        raise ValueError(f"profile {profile!r} is none of manifest.profiles: {', '.join(names)}")
    rows = EVENTS.conform(events.lazy(), "events")
    require_aware(events.collect_schema(), ["timestamp"], "events")
    held_rows = read_held(held, names)
    candidates = read_candidates(rows, held_rows, chosen_settings)

    fills = np.full(candidates.height, FREE, np.int8)
    for position, name in enumerate(names[: names.index(profile) + 1]):
        fills, funnel, outcome = _choose(candidates, fills, position, name, chosen_settings)
    return Manifest(
        frame=_frame(rows, outcome, chosen_settings),
        funnel=funnel,
        notes=notes_on(outcome, chosen_settings, candidates, held_rows),
    )


def _choose(
    candidates: pl.DataFrame, fills: Array, position: int, name: str, settings: ManifestSettings
) -> tuple[Array, pl.DataFrame, Outcome]:
    """Run the five stages of one profile over what the profiles before it took.

    Returns:
        The fill code of each candidate, the funnel, and what notes and the frame are made of.
    """
    stages = _filter_stages(_with_kept(candidates, fills, position), name, settings)
    reached = stages[-1]
    days = stages[1].filter("is_asked")["date"].unique().str.to_date().to_list()
    limits = limits_of(name, settings, days)
    codes = select_rows(reached, limits, strict_quotas=settings.strict_quotas)
    fill = pl.Series("fill", codes).replace_strict(FILL_NAMES, return_dtype=pl.String)
    taken = reached.with_columns(fill).filter(pl.col("fill").is_not_null())
    after = fills.copy()
    after[reached["row"].to_numpy()] = codes
    return (
        after,
        _funnel([*(stage.height for stage in stages), taken.height]),
        Outcome(name, limits, reached, taken),
    )


def _with_kept(candidates: pl.DataFrame, fills: Array, position: int) -> pl.DataFrame:
    """Add `fill_code` and `is_kept`: rows of the profiles before, and held ones."""
    held_here = pl.col("is_held") & (pl.col("held_from") <= position)
    held_code = pl.col("held_fill").replace_strict(
        {fill.value: fill.code for fill in Fill}, default=FREE, return_dtype=pl.Int8
    )
    brought = pl.lit(pl.Series("fills", fills))
    taken_before = brought != FREE
    return candidates.with_columns(
        fill_code=pl.when(held_here & ~taken_before).then(held_code).otherwise(brought),
        is_kept=taken_before | held_here.fill_null(False),
    )


def _filter_stages(
    candidates: pl.DataFrame, name: str, settings: ManifestSettings
) -> list[pl.DataFrame]:
    """Return what is left before the first and after each of the first four stages."""
    profile, kept = settings.profiles[name], pl.col("is_kept")
    stages = [candidates]
    for passes in (
        pl.col("is_asked"),
        has_score(profile, pl.col("is_asked")),
        is_liquid(profile, settings),
        represents_group(kept),
    ):
        stages.append(stages[-1].filter(kept | passes))
    return stages


def _funnel(counts: list[int]) -> pl.DataFrame:
    """Return one row per stage; `counts` holds the events before the first and after each."""
    return FUNNEL.conform(pl.DataFrame({"stage": STAGES, "n_in": counts[:-1], "n_out": counts[1:]}))


def _frame(events: pl.LazyFrame, outcome: Outcome, settings: ManifestSettings) -> pl.DataFrame:
    """Return the taken rows as manifest rows: ranked, with what is fetched around each."""
    ranked = full_rows(events, outcome.taken.drop("row")).with_columns(
        profile=pl.lit(outcome.profile),
        rank=pl.int_range(1, pl.len() + 1, dtype=pl.Int64),
    )
    return MANIFEST.conform(with_windows(ranked, settings.profiles[outcome.profile]))
