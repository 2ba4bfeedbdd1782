"""The provider as a resource: which day is the last whose data are complete."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from pydantic import SecretStr

from smallcaps_pipeline.defs.resources import SIMULATED_LAST, Provider
from smallcaps_pipeline.environment import Environment
from smallcaps_pipeline.settings import load_settings


@pytest.mark.parametrize(
    ("now", "expected", "why"),
    [
        # After-hours end at 20:00; four hours later, at midnight, the day counts as published.
        ("2025-11-26 04:59", date(2025, 11, 24), "23:59 of Tuesday in New York"),
        ("2025-11-26 05:00", date(2025, 11, 25), "midnight"),
        ("2025-11-26 20:00", date(2025, 11, 25), "Wednesday is not over"),
        ("2025-11-27 18:00", date(2025, 11, 26), "Thanksgiving"),
        (
            "2025-11-29 01:59",
            date(2025, 11, 26),
            "an early close: 13:00 + 4 h + 4 h",
        ),
        ("2025-11-29 02:00", date(2025, 11, 28), "21:00 of Friday"),
        ("2025-12-01 13:00", date(2025, 11, 28), "Monday morning"),
        ("2025-07-02 04:00", date(2025, 7, 1), "midnight in summer is 04:00 UTC"),
    ],
)
def test_last_finished_day(environment: Environment, now: str, expected: date, why: str) -> None:
    real = environment.model_copy(update={"api_key": SecretStr("any")})
    at = datetime.fromisoformat(now).replace(tzinfo=UTC)
    assert Provider(load_settings(), real).last_finished_day(at) == expected, why


def test_simulated_past_does_not_move_with_the_clock(environment: Environment) -> None:
    provider = Provider(load_settings(), environment)
    assert provider.last_finished_day(datetime(2031, 1, 1, tzinfo=UTC)) == SIMULATED_LAST
