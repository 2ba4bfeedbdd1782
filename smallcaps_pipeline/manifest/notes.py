"""What a manifest could not do, in plain words: each note starts with the settings key it is about.

Belongs here: the wording, and the figures in it. Keep out: the limits themselves (`limits`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import polars as pl

from smallcaps_pipeline.manifest.limits import Cap, Limits, Shares
from smallcaps_pipeline.manifest.passes import Fill
from smallcaps_pipeline.manifest.rank import DEFAULT_PRIORITY
from smallcaps_pipeline.settings import Manifest

UNITS: Final = {
    ("symbol",): "symbol",
    ("symbol", "date"): "symbol-day",
    ("symbol", "year"): "symbol-year",
    ("month",): "month",
}


@dataclass(frozen=True)
class Outcome:
    """What one profile's selection had and what it took.

    Attributes:
        profile: Its name.
        limits: Its caps, quotas and floors.
        reached: The rows that reached the selection.
        taken: Those of them that are in the manifest, with `fill`.
    """

    profile: str
    limits: Limits
    reached: pl.DataFrame
    taken: pl.DataFrame


def notes_on(
    outcome: Outcome, settings: Manifest, candidates: pl.DataFrame, held: pl.DataFrame
) -> list[str]:
    """Say what could not be met: total, caps against it, quotas, floors, weekdays, held events."""
    limits = outcome.limits
    return [
        *_total_notes(outcome),
        *(note for cap in limits.caps for note in _cap_notes(cap, outcome)),
        *_share_notes(limits.types, outcome),
        *_share_notes(limits.sessions, outcome),
        *_share_notes(limits.floors, outcome),
        *_overflow_notes(outcome),
        *_weekday_notes(outcome),
        *_priority_notes(settings, candidates),
        *_held_notes(held, candidates),
    ]


def _total_notes(outcome: Outcome) -> list[str]:
    total, taken = outcome.limits.total, outcome.taken.height
    if taken < total.room:
        return [
            f"{total.key}: {total.room:,} asked, {taken:,} taken of the "
            f"{outcome.reached.height:,} events that reached the selection"
        ]
    if taken > total.room:
        return [f"{total.key}: {total.room:,} asked, {taken:,} rows: held events stay"]
    return []


def _cap_notes(cap: Cap, outcome: Outcome) -> list[str]:
    """Say that a cap alone makes the total unreachable."""
    total, unit = outcome.limits.total, UNITS[cap.counted_by]
    groups = outcome.reached.select(cap.counted_by).n_unique()
    if cap.room * groups >= total.room:
        return []
    return [
        f"{cap.key}: {cap.room:,} per {unit} x {groups:,} {unit}s = {cap.room * groups:,} < "
        f"{total.room:,}: the total of {total.key} cannot be reached"
    ]


def _share_notes(shares: Shares, outcome: Outcome) -> list[str]:
    """Say which quotas (floors) hold fewer rows, of any fill, than they have room for."""
    total, have = outcome.limits.total.room, _counts(outcome.taken, shares)
    return [
        f"{shares.key}.{name}: {room:,} of {total:,} rows wanted, {have.get(name, 0):,} there"
        for name, room in shares.rooms.items()
        if have.get(name, 0) < room
    ]


def _overflow_notes(outcome: Outcome) -> list[str]:
    beyond = outcome.taken.filter(pl.col("fill") == Fill.OVERFLOW).height
    if not beyond:
        return []
    return [
        f"manifest.strict_quotas: {beyond:,} rows go beyond the quotas (fill = {Fill.OVERFLOW}); "
        "with true they are left out"
    ]


def _weekday_notes(outcome: Outcome) -> list[str]:
    weekdays = outcome.limits.weekdays
    if weekdays is None:
        return []
    have = _counts(outcome.taken, weekdays)
    return [
        f"{weekdays.key}: {name} has {have[name]:,} rows, more than its {room:,}: only pass (b) is "
        "balanced, not floors, overflow, or rows taken over"
        for name, room in weekdays.rooms.items()
        if have.get(name, 0) > room
    ]


def _priority_notes(settings: Manifest, candidates: pl.DataFrame) -> list[str]:
    unknown = sorted(set(candidates["event_type"].unique()) - set(settings.type_priority))
    if not unknown:
        return []
    names = ", ".join(unknown)
    return [f"manifest.type_priority: does not name {names}, taken as {DEFAULT_PRIORITY}"]


def _held_notes(held: pl.DataFrame, candidates: pl.DataFrame) -> list[str]:
    absent = held.join(candidates, on="event_id", how="anti")["event_id"].sort()
    if absent.is_empty():
        return []
    return [
        f"held: {len(absent):,} held events are no longer among the events and so not in the "
        f"manifest (were bars or settings under events changed?), the first is {absent[0]}"
    ]


def _counts(taken: pl.DataFrame, shares: Shares) -> dict[str, int]:
    return dict(taken.group_by(shares.column).len().iter_rows())
