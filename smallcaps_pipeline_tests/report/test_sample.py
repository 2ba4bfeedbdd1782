"""The review sample: who is drawn, that row order never matters, that work is kept."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smallcaps_pipeline.report.sample import draw_sample, systematic
from smallcaps_pipeline.schemas import REVIEW_SAMPLE
from smallcaps_pipeline.settings import Settings, load_settings
from smallcaps_pipeline_tests.report.tables import manifest_of, many_events

MANIFEST = manifest_of(many_events(400))
BASELINE = [
    "WOLF_20251008_162500_volume_spike_up",
    "NERV_20250805_164600_price_momentum_up",
    "BAER_20251008_165700_vwap_break_up",
]
HALF = 1 << 63  # half a stretch, in 1/2^64


def rules(**report: int) -> Settings:
    shipped = load_settings()
    return shipped.model_copy(update={"report": shipped.report.model_copy(update=report)})


@pytest.mark.parametrize(
    ("total", "wanted", "start", "places"),
    [
        (10, 5, 0, [0, 2, 4, 6, 8]),  # every second, from the first
        (10, 5, HALF, [1, 3, 5, 7, 9]),  # from the middle of each pair
        (10, 4, HALF, [1, 3, 6, 8]),  # stretches of 2.5: middles 1.25, 3.75, 6.25, 8.75
        (3, 3, HALF, [0, 1, 2]),
        (2, 5, HALF, [0, 1]),  # fewer than wanted: all
        (0, 5, 0, []),
        (7, 0, HALF, []),
    ],
)
def test_systematic_draw_worked_by_hand(
    total: int, wanted: int, start: int, places: list[int]
) -> None:
    assert systematic(total, wanted, start) == places


@given(st.integers(1, 500), st.integers(1, 500), st.integers(0, (1 << 64) - 1))
def test_places_are_different_and_within(total: int, wanted: int, start: int) -> None:
    places = systematic(total, wanted, start)
    assert len(set(places)) == len(places) == min(total, wanted)
    assert all(0 <= place < total for place in places)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000))
def test_row_order_never_matters(seed: int) -> None:
    shuffled = MANIFEST.sample(fraction=1, shuffle=True, seed=seed)
    assert draw_sample(shuffled).equals(draw_sample(MANIFEST))


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000), st.integers(20, 150))
def test_each_type_has_its_share_to_within_one(seed: int, size: int) -> None:
    sample = draw_sample(MANIFEST, rules(sample_size=size, sample_seed=seed))
    assert sample.height == size
    drawn = dict(sample.group_by("event_type").len().rows())
    for kind, there in MANIFEST.group_by("event_type").len().rows():
        assert abs(drawn.get(kind, 0) - there * size / MANIFEST.height) <= 1


def test_sample_is_of_the_schema_in_a_random_order_and_depends_on_the_seed() -> None:
    sample = draw_sample(MANIFEST)
    assert sample.schema == REVIEW_SAMPLE.schema
    assert sample["place"].to_list() == list(range(1, 101))
    assert sample["event_id"].n_unique() == 100
    assert not sample["event_type"].is_sorted()  # shown at random, not type by type
    other = draw_sample(MANIFEST, rules(sample_seed=8))
    assert set(other["event_id"]) != set(sample["event_id"])


def test_this_seed_draws_these_events() -> None:
    """A baseline against change, not a proof: what was reviewed is a sample that can be redrawn."""
    drawn = draw_sample(MANIFEST, rules(sample_size=3))["event_id"].to_list()
    assert drawn == BASELINE


def test_fewer_events_than_asked_are_all_drawn() -> None:
    few = MANIFEST.head(7)
    assert set(draw_sample(few)["event_id"]) == set(few["event_id"])
    assert draw_sample(MANIFEST.head(0)).is_empty()


def test_judged_events_stay_when_the_manifest_is_made_anew() -> None:
    first = draw_sample(MANIFEST.head(200), rules(sample_size=40))
    judged = first["event_id"].head(15).to_list()
    gone = judged[:2]
    remade = MANIFEST.filter(~pl.col("event_id").is_in(gone))
    again = draw_sample(remade, rules(sample_size=40), judged=judged)
    assert again.height == 40
    assert set(again.filter("is_kept")["event_id"]) == set(judged) - set(gone)
    assert again["event_id"].n_unique() == 40


def test_more_judged_than_wanted_are_cut_to_the_size() -> None:
    judged = MANIFEST["event_id"].head(30).to_list()
    sample = draw_sample(MANIFEST, rules(sample_size=10), judged=judged)
    assert sample.height == 10
    assert set(sample["event_id"]) <= set(judged)
