"""Checks of event shards: out of range fails with the shard and its figure, thin shards do not."""

from __future__ import annotations

import dagster as dg
import pytest

from smallcaps_pipeline.defs.event_checks import (
    event_check_results,
    event_check_specs,
    kpi_metadata,
)
from smallcaps_pipeline.report import event_kpis
from smallcaps_pipeline.report.status import Finding
from smallcaps_pipeline.settings import load_settings
from smallcaps_pipeline_tests.report.tables import event_row, events_of

CONFIG = load_settings()
CHECKS = {
    "pm_share_pct",
    "rth_share_pct",
    "ah_share_pct",
    "median_dollar_volume",
    "near_duplicates_pct",
    "events_per_hour_mean",
    "events_per_hour_p99",
    "one_minute_pct",
}
# 60 events over the day: one a minute is 1.7 % of them; 60 in one minute are all.
SPREAD = [event_row("AEMD", f"{10 + i // 30}:{2 * (i % 30):02d}") for i in range(60)]
ONE_MINUTE = [event_row(f"S{i}", "11:30") for i in range(60)]
THIN = [event_row("NERV")]


def kpis(*rows: dict[str, object]) -> list[Finding]:
    return event_kpis(events_of(*rows), CONFIG)


def results(**shards: list[Finding]) -> dict[str, dg.AssetCheckResult]:
    found = event_check_results(shards, CONFIG)
    return {str(result.check_name): result for result in found}


def test_every_kpi_with_a_range_has_a_check() -> None:
    specs = event_check_specs("intraday_events", CONFIG)
    assert {spec.name for spec in specs} == CHECKS == set(results())
    assert all(spec.description for spec in specs)


def test_a_shard_out_of_range_fails_its_check_with_name_and_figure() -> None:
    result = results(**{"2025|AEMD": kpis(*SPREAD), "2025|BUSY": kpis(*ONE_MINUTE)})[
        "one_minute_pct"
    ]
    assert not result.passed
    assert result.severity == dg.AssetCheckSeverity.WARN
    assert result.description == "1 of 2 shards are out of range"
    assert result.metadata["shards judged"].value == 2
    table = str(result.metadata["out of range"].value)
    assert r"2025\|BUSY | 100.0" in table  # the key's bar is no column's
    assert "data:image/svg+xml" in str(result.metadata["plot"].value)
    assert str(result.metadata["allowed"].value).startswith("at most 2.0")


def test_a_thin_shard_is_counted_and_fails_nothing() -> None:
    result = results(**{"2025|NERV": kpis(*THIN), "2025|AEMD": kpis(*SPREAD)})["one_minute_pct"]
    assert result.passed
    assert result.description == ("0 of 1 shards are out of range; 1 have too few events to judge")


@pytest.mark.parametrize("name", sorted(CHECKS))
def test_without_shards_every_check_passes(name: str) -> None:
    assert results()[name].passed


def test_figures_of_a_shard_are_numbers_that_can_be_plotted() -> None:
    found = kpi_metadata(kpis(*ONE_MINUTE))
    assert found["Share of the fullest clock minute"] == 100.0
    assert all(isinstance(figure, float) for figure in found.values())
