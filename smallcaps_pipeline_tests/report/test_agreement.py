"""Agreement beyond chance, on the examples of the literature and by hand."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl
import pytest

from smallcaps_pipeline.report.agreement import (
    agreement,
    cohen_kappa,
    fleiss_kappa,
    observed_agreement,
)
from smallcaps_pipeline.report.labels import standing_labels
from smallcaps_pipeline.schemas import LABELS

NOW = datetime(2025, 11, 28, 15, 0, tzinfo=UTC)


def labels(*said: tuple[str, str, str | None]) -> pl.DataFrame:
    """Make labels from (event, reviewer, label)."""
    rows = [(event, who, label, "", NOW) for event, who, label in said]
    return pl.DataFrame(rows, schema=LABELS.schema, orient="row")


def test_cohen_of_fifty_grants() -> None:
    """Two readers, 50 proposals: both yes 20, only A 5, only B 10, both no 15.

    Observed 35/50 = 0.7; chance 0.5 x 0.6 + 0.5 x 0.4 = 0.5; kappa (0.7 - 0.5) / 0.5 = 0.4.
    """
    ratings = [["good", "good"]] * 20 + [["good", "bad"]] * 5
    ratings += [["bad", "good"]] * 10 + [["bad", "bad"]] * 15
    assert cohen_kappa(ratings) == pytest.approx(0.4)
    assert observed_agreement(ratings) == pytest.approx(0.7)


def test_fleiss_of_three_reviewers_by_hand() -> None:
    """Events ggg, ggb, bbb, gbu: agreement 1, 1/3, 1, 0, mean 7/12.

    Of 12 judgements 6 are good, 5 bad, 1 unsure: chance (36 + 25 + 1) / 144 = 62/144.
    Kappa (84/144 - 62/144) / (82/144) = 22/82.
    """
    letters = {"g": "good", "b": "bad", "u": "unsure"}
    ratings = [[letters[one] for one in event] for event in ("ggg", "ggb", "bbb", "gbu")]
    assert observed_agreement(ratings) == pytest.approx(7 / 12)
    assert fleiss_kappa(ratings) == pytest.approx(22 / 82)


def test_fleiss_of_ten_subjects_and_fourteen_raters() -> None:
    """The worked table of counts that statistics texts give: kappa 0.210."""
    table = [
        [0, 0, 0, 0, 14],
        [0, 2, 6, 4, 2],
        [0, 0, 3, 5, 6],
        [0, 3, 9, 2, 0],
        [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0],
        [3, 2, 6, 3, 0],
        [2, 5, 3, 2, 2],
        [6, 5, 2, 1, 0],
        [0, 2, 2, 3, 7],
    ]
    ratings = [[str(kind) for kind, n in enumerate(row) for _ in range(n)] for row in table]
    found = fleiss_kappa(ratings)
    assert found is not None
    assert round(found, 3) == 0.210


def test_no_kappa_where_chance_alone_agrees() -> None:
    assert cohen_kappa([["good", "good"]] * 9) is None
    assert fleiss_kappa([["good"] * 3] * 9) is None
    assert cohen_kappa([]) is None
    assert fleiss_kappa([]) is None
    assert cohen_kappa([["good", "bad"]] * 9) == 0  # they never agree, nor would chance


def test_only_events_that_all_judged_count() -> None:
    found = agreement(
        labels(
            *(("A", who, "good") for who in ("anna", "ben")),
            *(("B", who, "bad") for who in ("anna", "ben")),
            ("C", "anna", "good"),
            ("D", "anna", "good"),
            ("D", "ben", None),  # a note only
        )
    )
    assert found is not None
    assert (found.reviewers, found.events, found.method) == (("anna", "ben"), 2, "Cohen")
    assert (found.share, found.kappa) == (1.0, 1.0)
    assert agreement(labels(("A", "anna", "good"))) is None
    three = agreement(labels(*(("A", who, "good") for who in "xyz"), ("B", "x", "bad")))
    assert three is not None
    assert (three.events, three.method, three.kappa) == (1, "Fleiss", None)


def test_majority_stands_and_a_tie_is_unsure() -> None:
    said = labels(
        *(("A", who, label) for who, label in zip("xyz", ("good", "good", "bad"), strict=True)),
        ("B", "x", "good"),
        ("B", "y", "bad"),
        ("C", "x", "bad"),
        ("C", "y", None),
        ("D", "x", None),
        ("E", "x", "good"),
    )
    stands = standing_labels(said, ["A", "B", "C", "D"])
    assert stands.rows() == [("A", "good"), ("B", "unsure"), ("C", "bad")]
