"""Comparison of `detect_events` with the plain reference, column by column.

Belongs here: what counts as the same. Keep out: which bars are compared.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Literal

import polars as pl

from smallcaps_pipeline.events import detect_events
from smallcaps_pipeline.schemas import EVENTS
from smallcaps_pipeline.settings import Settings, load_settings, read_settings
from smallcaps_pipeline_tests.events import plain
from smallcaps_pipeline_tests.events.builders import Bar

RELATIVE, ABSOLUTE = 1e-9, 1e-12  # a difference of two nearly equal prices cancels digits


@cache
def settings_with(
    basis: Literal["day", "so_far"] = "day", keep: Literal["best", "first"] = "best"
) -> Settings:
    """Return the shipped settings with another basis of dollar volume or rule of duplicates."""
    return changed({"filters": {"dollar_volume_basis": basis}, "duplicates": {"keep": keep}})


def changed(events: dict[str, dict[str, object]]) -> Settings:
    """Return the shipped settings with changed keys of sections of `events`."""
    values = load_settings().model_dump(serialize_as_any=True)
    for section, keys in events.items():
        values["events"][section] = {**values["events"][section], **keys}
    return read_settings(values)


def differences(
    bars: pl.DataFrame,
    *,
    basis: Literal["day", "so_far"] = "day",
    keep: Literal["best", "first"] = "best",
) -> list[str]:
    """Describe each difference between the events of the code and of the reference."""
    got = detect_events(bars, settings_with(basis, keep)).to_dicts()
    expected = plain.detect(bars.to_dicts(), basis=basis, keep=keep)
    return compare(got, expected)


def compare(got: list[Bar], expected: list[Bar]) -> list[str]:
    """Describe each difference of two lists of event rows; none if they agree."""
    ids, expected_ids = [row["event_id"] for row in got], [row["event_id"] for row in expected]
    if ids != expected_ids:
        only = sorted(set(ids) - set(expected_ids)), sorted(set(expected_ids) - set(ids))
        return [f"only the code has {only[0]}, only the reference has {only[1]}, or the order"]
    return [
        f"{row['event_id']}.{name}: {row[name]!r}, expected {wanted[name]!r}"
        for row, wanted in zip(got, expected, strict=True)
        for name in EVENTS.columns
        if not _same(row[name], wanted[name])
    ]


def _same(value: object, expected: object) -> bool:
    if isinstance(value, float) and isinstance(expected, int | float):
        return math.isclose(value, expected, rel_tol=RELATIVE, abs_tol=ABSOLUTE)
    return type(value) is type(expected) and value == expected
