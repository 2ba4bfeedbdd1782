"""Which NBBO level is finer, and its label."""

from __future__ import annotations

import pytest

from smallcaps_pipeline.manifest.nbbo_level import NbboLevel, finest

ALL, ALL_20, CHANGE, CHANGE_5 = (
    NbboLevel(by_change=False),
    NbboLevel(by_change=False, max_hz=20),
    NbboLevel(by_change=True),
    NbboLevel(by_change=True, max_hz=5),
)


@pytest.mark.parametrize(
    ("level", "label"),
    [(ALL, "all"), (ALL_20, "all@20Hz"), (CHANGE, "change"), (CHANGE_5, "change@5Hz")],
)
def test_label_and_level_say_the_same(level: NbboLevel, label: str) -> None:
    assert level.label == label
    assert NbboLevel.from_label(label) == level


@pytest.mark.parametrize("label", ["", "ALL", "all@0Hz", "change@-5Hz", "all@20", "change@5Hz "])
def test_label_of_no_level_is_an_error_that_shows_it(label: str) -> None:
    with pytest.raises(ValueError, match=r"all, all@20Hz, change or change@5Hz"):
        NbboLevel.from_label(label)


@pytest.mark.parametrize(
    ("levels", "expected", "why"),
    [
        ([CHANGE_5], CHANGE_5, "one level is its own finest"),
        ([CHANGE_5, ALL_20], ALL_20, "plus is finer than core in both parts"),
        ([ALL_20, ALL, CHANGE_5], ALL, "premium is finer than all"),
        ([CHANGE, CHANGE_5], CHANGE, "no limit is finer than any rate"),
        ([CHANGE, ALL_20], ALL, "neither holds the other's quotes: both parts are needed"),
    ],
)
def test_finest_is_as_fine_as_each(levels: list[NbboLevel], expected: NbboLevel, why: str) -> None:
    assert finest(levels) == expected, why
    assert finest(levels[::-1]) == expected, why


def test_finest_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="no NBBO level"):
        finest([])


def test_covers_needs_both_parts() -> None:
    assert ALL.covers(CHANGE_5)
    assert ALL_20.covers(ALL_20)
    assert not CHANGE_5.covers(CHANGE)
    assert not CHANGE.covers(ALL_20)
    assert not ALL_20.covers(CHANGE)


def test_rate_below_one_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        NbboLevel(by_change=True, max_hz=0)
