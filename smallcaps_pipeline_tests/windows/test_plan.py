"""The window plan: what becomes one window, what of it is missing, what it costs."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from itertools import combinations
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from smallcaps_pipeline.manifest.nbbo_level import NbboLevel, finest
from smallcaps_pipeline.schemas import PLAN, SchemaError
from smallcaps_pipeline.windows import plan_windows as plan_with_settings
from smallcaps_pipeline.windows.plan import merge_windows
from smallcaps_pipeline_tests.windows.make import (
    CONFIG,
    DAY,
    at,
    event_id,
    manifest,
    manifest_row,
    spans,
    stored_rows,
)

plan_windows = partial(plan_with_settings, settings=CONFIG)


@pytest.mark.parametrize(
    ("second", "windows", "reason"),
    [
        ("14:09", [("13:57", "14:16")], "[13:57, 14:07) and [14:06, 14:16) overlap"),
        ("14:10", [("13:57", "14:07"), ("14:07", "14:17")], "they touch: no overlap"),
        ("14:11", [("13:57", "14:07"), ("14:08", "14:18")], "a gap of a minute"),
    ],
)
def test_windows_that_overlap_become_one(
    second: str, windows: list[tuple[str, str]], reason: str
) -> None:
    plan = plan_windows(
        manifest(manifest_row("A", at("14:00")), manifest_row("A", at(second), rank=2))
    )
    assert spans(plan, "trades") == windows, reason
    assert spans(plan, "quotes") == windows, reason


@pytest.mark.parametrize(
    ("second", "windows", "reason"),
    [
        ("14:07", [("14:00", "14:09")], "7 minutes apart: less than 8"),
        ("14:08", [("14:00", "14:02"), ("14:08", "14:10")], "exactly 8 minutes: not less"),
    ],
)
def test_windows_of_near_events_become_their_hull(
    second: str, windows: list[tuple[str, str]], reason: str
) -> None:
    rows = [
        manifest_row("A", at("14:00"), before=0, after=2),
        manifest_row("A", at(second), rank=2, before=0, after=2),
    ]
    assert spans(plan_windows(manifest(*rows)), "trades") == windows, reason


def test_a_hull_pulls_in_a_window_in_its_gap() -> None:
    """14:00 and 14:07 are near; their hull [14:00, 14:09) spans the window [14:03, 14:05).

    That window's own event lies at 15:00 (a table made by hand; a manifest's window holds its
    event), so neither overlap nor nearness alone ties it to the other two.
    """
    stray = manifest_row("A", at("15:00"), rank=3) | {
        "window_start": at("14:03"),
        "window_end": at("14:05"),
    }
    rows = [
        manifest_row("A", at("14:00"), before=0, after=2),
        manifest_row("A", at("14:07"), rank=2, before=0, after=2),
        stray,
    ]
    plan = plan_windows(manifest(*rows))
    assert spans(plan, "trades") == [("14:00", "14:09")]
    assert plan["events_merged"][0].to_list() == [
        event_id("A", at("14:00")),
        event_id("A", at("14:07")),
        event_id("A", at("15:00")),
    ]


def test_events_of_one_instant_are_listed_by_id_and_the_best_rank_counts() -> None:
    late = manifest_row("A", at("14:01"), rank=2)
    twin = manifest_row("A", at("14:00"), rank=9) | {"event_id": "A_20251007_140000_flush_down"}
    plan = plan_windows(manifest(late, manifest_row("A", at("14:00"), rank=5), twin))
    assert plan["events_merged"][0].to_list() == [
        "A_20251007_140000_flush_down",
        "A_20251007_140000_volume_spike_up",
        "A_20251007_140100_volume_spike_up",
    ]
    assert plan["priority"].to_list() == [2, 2]


def test_other_symbols_never_merge() -> None:
    plan = plan_windows(
        manifest(manifest_row("A", at("14:00")), manifest_row("B", at("14:00"), rank=2))
    )
    assert plan["symbol"].to_list() == ["A", "A", "B", "B"]


@pytest.mark.parametrize(
    ("levels", "nbbo"),
    [
        ([(True, 5), (True, 5)], "change@5Hz"),
        ([(True, 5), (False, 20)], "all@20Hz"),
        ([(True, 5), (True, None)], "change"),
        ([(False, 20), (True, None)], "all"),  # neither covers the other
    ],
)
def test_the_finest_nbbo_of_the_events_wins(
    levels: list[tuple[bool, int | None]], nbbo: str
) -> None:
    rows = [
        manifest_row("A", at("14:00") + timedelta(minutes=i), by_change=change, max_hz=hz)
        for i, (change, hz) in enumerate(levels)
    ]
    plan = plan_windows(manifest(*rows))
    assert plan["nbbo"].to_list() == [None, nbbo]
    assert nbbo == finest(NbboLevel(change, hz) for change, hz in levels).label


# subtraction ----------------------------------------------------------------------------------

ONE = manifest(manifest_row("A", at("14:00")))  # [13:57, 14:07), change@5Hz


@pytest.mark.parametrize(
    ("rows", "trades", "quotes", "reason"),
    [
        ([], [("13:57", "14:07")], [("13:57", "14:07")], "nothing stored"),
        (
            [("A", "trades", "13:57", "14:07", None)],
            [],
            [("13:57", "14:07")],
            "kinds are subtracted apart",
        ),
        (
            [("A", "trades", "14:00", "14:02", None)],
            [("13:57", "14:00"), ("14:02", "14:07")],
            [("13:57", "14:07")],
            "a remainder may be several intervals",
        ),
        (
            [("A", "trades", "13:00", "14:00", None), ("A", "trades", "13:59", "14:01", None)],
            [("14:01", "14:07")],
            [("13:57", "14:07")],
            "stored rows may overlap",
        ),
        (
            [("A", "trades", "13:50", "14:00", None), ("A", "trades", "14:00", "14:10", None)],
            [],
            [("13:57", "14:07")],
            "stored rows may touch",
        ),
        ([("A", "trades", "14:07", "14:10", None)], [("13:57", "14:07")], None, "touching"),
        ([("B", "trades", "13:57", "14:07", None)], [("13:57", "14:07")], None, "another symbol"),
        (
            [("A", "quotes", "13:57", "14:00", "change@5Hz")],
            None,
            [("14:00", "14:07")],
            "the same reduction",
        ),
        ([("A", "quotes", "13:57", "14:07", "all")], None, [], "a finer one"),
        ([("A", "quotes", "13:57", "14:07", None)], None, [], "no label: not reduced"),
        (
            [("A", "quotes", "13:57", "14:07", "change@1Hz")],
            None,
            [("13:57", "14:07")],
            "a coarser one: fetched once more",
        ),
        (
            [
                ("A", "quotes", "13:57", "14:07", "change@1Hz"),
                ("A", "quotes", "14:00", "14:03", "all@20Hz"),
            ],
            None,
            [("13:57", "14:00"), ("14:03", "14:07")],
            "the finer of two stored ones counts",
        ),
    ],
)
def test_what_is_stored_is_not_asked_for_again(
    rows: list[tuple[str, str, str, str, str | None]],
    trades: list[tuple[str, str]] | None,
    quotes: list[tuple[str, str]] | None,
    reason: str,
) -> None:
    plan = plan_windows(ONE, stored=stored_rows(*rows))
    whole = [("13:57", "14:07")]
    assert spans(plan, "trades") == (whole if trades is None else trades), reason
    assert spans(plan, "quotes") == (whole if quotes is None else quotes), reason


def test_quotes_fetched_once_more_are_said() -> None:
    coarse = stored_rows(("A", "quotes", "14:00", "14:05", "change@1Hz"))
    plan = plan_windows(ONE, stored=coarse)
    assert plan["refetched_seconds"].to_list() == [0.0, 300.0]


def test_a_remainder_knows_its_merged_window_and_keeps_its_events() -> None:
    plan = plan_windows(ONE, stored=stored_rows(("A", "trades", "14:00", "14:02", None)))
    rows = plan.filter(pl.col("kind") == "trades")
    assert rows["merged_start"].to_list() == [at("13:57")] * 2
    assert rows["merged_end"].to_list() == [at("14:07")] * 2
    assert rows["events_merged"].to_list() == [[event_id("A", at("14:00"))]] * 2


# shape, order, cost ---------------------------------------------------------------------------


def test_rows_come_by_priority_and_trades_before_quotes() -> None:
    rows = [manifest_row("Z", at("14:00"), rank=1), manifest_row("A", at("15:00"), rank=2)]
    plan = plan_windows(
        manifest(*rows), stored=stored_rows(("Z", "trades", "14:00", "14:01", None))
    )
    assert plan.select("symbol", "kind").rows() == [
        ("Z", "trades"),
        ("Z", "trades"),
        ("Z", "quotes"),
        ("A", "trades"),
        ("A", "quotes"),
    ]


def test_cost_of_a_window_by_hand() -> None:
    """10 minutes: 1,200 trades and 9,000 quotes expected, 12 and 11 bytes each.

    A page holds 50,000 rows, so each kind takes one; quotes also ask for the one before the start.
    """
    plan = plan_windows(ONE)
    assert plan["requests_min"].to_list() == [1, 2]
    assert plan["requests_expected"].to_list() == [1.0, 2.0]
    assert plan["bytes_expected"].to_list() == [14_400.0, 99_000.0]


def test_long_windows_take_several_pages() -> None:
    """120 minutes of 900 quotes are 108,000 rows: 3 pages, and the quote before the start."""
    plan = plan_windows(manifest(manifest_row("A", at("14:00"), before=30, after=90)))
    assert plan["requests_min"].to_list() == [1, 2]
    assert plan["requests_expected"].to_list() == [1.0, 4.0]


def test_an_empty_manifest_is_an_empty_plan() -> None:
    assert_frame_equal(plan_windows(ONE.clear()), PLAN.empty())
    assert_frame_equal(plan_windows(ONE, stored=stored_rows()), plan_windows(ONE))


def test_a_window_that_does_not_end_after_its_start_is_an_error() -> None:
    with pytest.raises(SchemaError, match="A_20251007_140000_volume_spike_up must end"):
        plan_windows(manifest(manifest_row("A", at("14:00"), before=0, after=0)))


@pytest.mark.parametrize("column", ["timestamp", "window_start", "window_end"])
def test_a_time_without_a_zone_is_an_error(column: str) -> None:
    naive = pl.col(column).dt.replace_time_zone(None)
    with pytest.raises(SchemaError, match=column):
        plan_windows(ONE.with_columns(naive))
    if column != "timestamp":
        held = stored_rows(("A", "trades", "13:57", "14:07", None))
        with pytest.raises(SchemaError, match=column):
            plan_windows(ONE, stored=held.with_columns(naive))


def test_a_missing_column_is_named() -> None:
    with pytest.raises(SchemaError, match="nbbo_max_hz"):
        plan_windows(ONE.drop("nbbo_max_hz"))


# properties -----------------------------------------------------------------------------------

EVENT = st.tuples(st.sampled_from("AB"), st.integers(0, 180), st.integers(0, 9), st.integers(1, 30))


def merge_pairwise(rows: list[dict[str, Any]]) -> set[tuple[Any, ...]]:
    """Merge any two windows that must be one, until nothing changes: the rule, word by word."""
    windows: list[tuple[Any, ...]] = [
        (r["symbol"], r["window_start"], r["window_end"], ((r["timestamp"], r["event_id"]),))
        for r in rows
    ]

    def belong(a: Any, b: Any) -> bool:
        near = any(abs(x[0] - y[0]) < timedelta(minutes=8) for x in a[3] for y in b[3])
        return bool(a[0] == b[0] and ((a[1] < b[2] and b[1] < a[2]) or near))

    while pair := next((p for p in combinations(windows, 2) if belong(*p)), None):
        a, b = pair
        windows = [w for w in windows if w is not a and w is not b]
        windows.append((a[0], min(a[1], b[1]), max(a[2], b[2]), (*a[3], *b[3])))
    return {(w[0], w[1], w[2], tuple(e for _, e in sorted(w[3]))) for w in windows}


@given(st.lists(EVENT, min_size=1, max_size=9), st.randoms(use_true_random=False))
@hypothesis_settings(max_examples=40, deadline=None)
def test_merging_is_the_fixed_point_of_the_rule(
    events: list[tuple[str, int, int, int]], random: Any
) -> None:
    rows = [
        manifest_row(symbol, DAY + timedelta(hours=13, minutes=minute), before=before, after=after)
        | {"event_id": f"{symbol}_{number:08d}_000000_flush_down"}
        for number, (symbol, minute, before, after) in enumerate(events)
    ]
    shuffled = random.sample(rows, len(rows))
    merged = merge_windows(manifest(*shuffled), 8)
    assert merge_pairwise(rows) == {
        (row["symbol"], row["window_start"], row["window_end"], tuple(row["events_merged"]))
        for row in merged.to_dicts()
    }


@given(st.lists(EVENT, min_size=1, max_size=6), st.lists(EVENT, max_size=6))
@hypothesis_settings(max_examples=15, deadline=None)
def test_planning_again_with_the_plan_stored_asks_for_nothing(
    events: list[tuple[str, int, int, int]], had: list[tuple[str, int, int, int]]
) -> None:
    start = DAY + timedelta(hours=13)

    def table(items: list[tuple[str, int, int, int]]) -> pl.DataFrame:
        return manifest(
            *(
                manifest_row(s, start + timedelta(minutes=m), before=b, after=a)
                for s, m, b, a in items
            )
        )

    had_plan = plan_windows(table(had)) if had else PLAN.empty()
    stored = had_plan.select("symbol", "kind", "window_start", "window_end", "nbbo")
    plan = plan_windows(table(events), stored=stored)
    both = pl.concat([stored, plan.select(stored.columns)]).sort("symbol", "kind", "window_start")
    before = pl.col("window_end").shift().over("symbol", "kind")
    assert both.select((pl.col("window_start") >= before).all()).item()  # nothing twice
    assert plan_windows(table(events), stored=both).is_empty()
