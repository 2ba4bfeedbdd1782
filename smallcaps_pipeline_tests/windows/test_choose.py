"""A part of a batch for a first look."""

from __future__ import annotations

import polars as pl
import pytest

from smallcaps_pipeline.windows import (
    Kind,
    best_per_symbol,
    missing_windows,
    plan_windows,
    rows_of,
)
from smallcaps_pipeline_tests.windows.make import CONFIG, at, manifest, manifest_row, stored_rows

TABLE = manifest(
    manifest_row("B", at("14:00"), rank=1),
    manifest_row("A", at("14:00"), rank=2),
    manifest_row("A", at("15:00"), rank=3),
    manifest_row("C", at("14:00"), rank=4),
)
PLAN_ROWS = plan_windows(TABLE, settings=CONFIG)


def starts(windows: pl.DataFrame) -> list[tuple[str, str]]:
    return [
        (r["symbol"], f"{r['merged_start']:%H:%M}")
        for r in windows.select("symbol", "merged_start").unique(maintain_order=True).to_dicts()
    ]


def test_the_best_window_of_each_symbol() -> None:
    best = best_per_symbol(PLAN_ROWS.sample(fraction=1, shuffle=True, seed=1))
    assert starts(best) == [("B", "13:57"), ("A", "13:57"), ("C", "13:57")]
    rows = rows_of(PLAN_ROWS, best)
    assert rows["kind"].to_list() == ["trades", "quotes"] * 3
    assert rows["priority"].to_list() == [1, 1, 2, 2, 4, 4]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (None, [("B", "13:57"), ("A", "13:57"), ("A", "14:57")]),
        (Kind.TRADES, [("A", "13:57"), ("A", "14:57")]),
        (Kind.QUOTES, [("B", "13:57"), ("A", "13:57"), ("A", "14:57")]),
    ],
)
def test_windows_of_which_something_is_missing_come_best_first(
    kind: Kind | None, expected: list[tuple[str, str]]
) -> None:
    there = stored_rows(
        ("B", "trades", "13:57", "14:07", None),
        ("A", "trades", "13:57", "14:00", None),  # a part of it
        ("C", "trades", "13:57", "14:07", None),
        ("C", "quotes", "13:57", "14:07", "all"),
    )
    assert starts(missing_windows(PLAN_ROWS, there, kind=kind)) == expected
