"""What is fetched around each row: the profile's window and NBBO, or its cohorts'.

A cohort takes the top N by rank of a filter on the manifest's rows. Its window and NBBO replace the
profile's for those rows, so a cohort can ask for less as well as for more; only between cohorts
the hull and the finest NBBO win. (Joined with the profile's, "their own window" could never be the
shorter one.)

Keep out: merging windows of neighbouring events (windows/plan.py).
"""

from __future__ import annotations

from datetime import time

import polars as pl

from smallcaps_pipeline.manifest.buckets import minutes
from smallcaps_pipeline.manifest.nbbo_level import NbboLevel, finest
from smallcaps_pipeline.schemas import BOOL, I64, STR
from smallcaps_pipeline.sessions import minute_of_day
from smallcaps_pipeline.settings import Cohort, Profile
from smallcaps_pipeline.thresholds import at_least, at_most

SEPARATOR = ","

_WINDOWS = pl.Schema(
    {
        "cohort": STR,
        "window_seconds_before": I64,
        "window_seconds_after": I64,
        "nbbo_by_change": BOOL,
        "nbbo_max_hz": I64,
    }
)


def with_windows(rows: pl.DataFrame, profile: Profile) -> pl.DataFrame:
    """Add what is fetched around each row.

    Args:
        rows: The manifest's rows by rank, with the events' columns.
        profile: Window, NBBO and cohorts.

    Returns:
        The rows with `cohort` (names in the settings' order, comma-separated; null = none),
        `window_seconds_before`, `window_seconds_after`, `nbbo_by_change`, `nbbo_max_hz` (null = no
        limit), `window_start` and `window_end` (UTC, half-open, not clipped to sessions).

    Raises:
        ValueError: A cohort filters on a column that rows do not have.
    """
    cohort = pl.concat_str(
        [pl.when(_is_member(member, rows)).then(pl.lit(member.name)) for member in profile.cohorts]
        or [pl.lit(None, STR)],
        separator=SEPARATOR,
        ignore_nulls=True,
    )
    rows = rows.drop("window_seconds_before", "window_seconds_after").with_columns(
        cohort=pl.when(cohort != "").then(cohort)
    )
    before = pl.duration(seconds="window_seconds_before", time_unit="us")
    after = pl.duration(seconds="window_seconds_after", time_unit="us")
    return rows.join(
        _windows(rows["cohort"].unique().to_list(), profile),
        on="cohort",
        how="left",
        nulls_equal=True,
        maintain_order="left",
        validate="m:1",
    ).with_columns(
        window_start=pl.col("timestamp") - before, window_end=pl.col("timestamp") + after
    )


def _is_member(cohort: Cohort, rows: pl.DataFrame) -> pl.Expr:
    """Return whether a row, among rows by rank, is one of the cohort's first N."""
    fits = pl.all_horizontal(_conditions(cohort, rows)).fill_null(False)
    return fits & (fits.cum_sum() <= cohort.top)


def _conditions(cohort: Cohort, rows: pl.DataFrame) -> list[pl.Expr]:
    found = [pl.lit(True)]
    for column, allowed in (
        ("event_type", cohort.event_types),
        ("direction", cohort.directions),
        ("session", cohort.sessions),
    ):
        if allowed is not None:
            found.append(pl.col(column).is_in(list(allowed)))
    minute = minute_of_day(pl.col("timestamp"))
    found.append(minute >= minutes(cohort.from_time or time(0)))
    if cohort.to_time is not None:
        found.append(minute < minutes(cohort.to_time))
    for column, value in cohort.min_values.items():
        found.append(at_least(_number(column, cohort, rows), value))
    for column, value in cohort.max_values.items():
        found.append(at_most(_number(column, cohort, rows), value))
    return found


def _number(column: str, cohort: Cohort, rows: pl.DataFrame) -> pl.Expr:
    dtype = rows.schema.get(column)
    if dtype is None or not (dtype.is_numeric() or dtype == pl.Boolean):
        raise ValueError(
            f"cohort {cohort.name!r}: {column!r} is no column of events that holds a number"
        )
    return pl.col(column).cast(pl.Float64)


def _windows(combinations: list[str | None], profile: Profile) -> pl.DataFrame:
    """Return window and NBBO of each combination of cohorts, one row each."""
    cohorts = {cohort.name: cohort for cohort in profile.cohorts}
    records = []
    for names in combinations:
        sources: list[Cohort | Profile] = [profile]
        if names is not None:
            sources = [cohorts[name] for name in names.split(SEPARATOR)]
        level = finest(NbboLevel(each.nbbo_by_change, each.nbbo_max_hz) for each in sources)
        before = 60 * max(each.minutes_before for each in sources)
        after = 60 * max(each.minutes_after for each in sources)
        records.append((names, before, after, level.by_change, level.max_hz))
    return pl.DataFrame(records, schema=_WINDOWS, orient="row")
