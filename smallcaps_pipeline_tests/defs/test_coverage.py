"""The asset of coverage: its checks, its plot, and what it holds against the universe."""

from __future__ import annotations

from datetime import date
from typing import Any

import dagster as dg
import polars as pl
import pytest

from smallcaps_pipeline.bars.update import StoredBars, write_cell
from smallcaps_pipeline.cells import period_of
from smallcaps_pipeline.defs import jobs
from smallcaps_pipeline.defs.build import build_definitions
from smallcaps_pipeline.defs.coverage import CHECKS, expected_bars
from smallcaps_pipeline.defs.launch import Launcher
from smallcaps_pipeline.defs.partitions import SYMBOL, build_grid
from smallcaps_pipeline.defs.resources import SIMULATED_LAST, Provider
from smallcaps_pipeline.defs.sensors import sensors
from smallcaps_pipeline.environment import Environment, claim
from smallcaps_pipeline.lake import Lake
from smallcaps_pipeline.schemas import TICKER_DETAILS
from smallcaps_pipeline.settings import load_settings
from smallcaps_pipeline_tests.defs.runs import add_run
from smallcaps_pipeline_tests.events.builders import frame, quiet

DAY = date(2025, 12, 31)
YEAR = period_of(DAY, "year")


def store(lake: Lake, symbol: str, **facts: Any) -> None:
    bars = frame(quiet("09:30", 390, 10.0, symbol=symbol, day=DAY))
    write_cell(lake, bars, symbol, YEAR, StoredBars("simulated market", DAY, **facts))


def materialize(
    environment: Environment, instance: dg.DagsterInstance
) -> tuple[dict[str, Any], dict[str, dg.AssetCheckEvaluation]]:
    """Run the job; return the materialization's metadata and the checks by name."""
    launcher = Launcher(build_definitions(environment=environment), instance)
    launcher.run(jobs.COVERAGE)
    event = instance.get_latest_materialization_event(dg.AssetKey("bar_coverage"))
    assert event is not None
    assert event.asset_materialization is not None
    (run,) = instance.get_runs(limit=1)
    logged = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    checks = [
        entry.dagster_event.asset_check_evaluation_data for entry in logged if entry.dagster_event
    ]
    found = {name: value.value for name, value in event.asset_materialization.metadata.items()}
    return found, {check.check_name: check for check in checks}


def test_whole_lake_passes_every_check_and_shows_its_plot(
    environment: Environment, lake: Lake, instance: dg.DagsterInstance
) -> None:
    store(lake, "AEMD")
    instance.add_dynamic_partitions(SYMBOL, ["AEMD"])
    metadata, checks = materialize(environment, instance)
    assert set(checks) == set(CHECKS)
    assert all(check.passed for check in checks.values())
    assert "data:image/svg+xml" in metadata["days"]
    assert (metadata["symbols with bars"], metadata["missing symbols"]) == (1, 0)
    assert (metadata["first day"], metadata["last day"]) == ("2025-01-02", "2025-12-31")
    assert "data:image/svg+xml" in str(checks["nothing_is_missing"].metadata["plot"].value)


def test_missing_symbol_bad_bars_and_damaged_files_fail_their_checks(
    environment: Environment, lake: Lake, instance: dg.DagsterInstance
) -> None:
    store(lake, "AEMD", set_aside={str(DAY): {"volume is below zero": 1}})
    store(lake, "GRI")
    torn = lake.cell("bars_1m", "GRI", "2025")
    torn.write_bytes(torn.read_bytes()[:50])
    instance.add_dynamic_partitions(SYMBOL, ["AEMD", "GRI", "NERV"])
    metadata, checks = materialize(environment, instance)
    failed = {name for name, check in checks.items() if not check.passed}
    assert failed == {"files_are_sound", "nothing_is_missing"}
    assert str(torn) in str(checks["files_are_sound"].metadata["unreadable"].value)
    assert metadata["first missing symbols"] == "GRI, NERV"


def test_real_lake_without_a_key_ends_at_its_own_last_day(
    environment: Environment, lake: Lake, instance: dg.DagsterInstance
) -> None:
    claim(environment.data_root, simulated=False)
    early = date(2025, 5, 1)
    bars = frame(quiet("09:30", 30, 10.0, day=early))
    write_cell(lake, bars, "AEMD", YEAR, StoredBars("imported", early))
    metadata, _ = materialize(environment, instance)
    assert (metadata["first day"], metadata["last day"]) == ("2025-05-01", "2025-05-01")


def test_stock_is_expected_within_its_listing(environment: Environment, lake: Lake) -> None:
    details = TICKER_DETAILS.empty().vstack(
        TICKER_DETAILS.conform(
            pl.DataFrame(
                {name: [None] for name in TICKER_DETAILS.columns}
                | {"symbol": ["AEMD"], "list_date": [date(2025, 3, 3)]}
            )
        )
    )
    lake.write(details, lake.table(TICKER_DETAILS.name))
    provider = Provider(load_settings(), environment)
    found = expected_bars(lake, provider, ["AEMD"])
    assert found.listed.row(0) == ("AEMD", date(2025, 3, 3), None)
    assert (found.symbols, found.last) == (frozenset({"AEMD"}), SIMULATED_LAST)


@pytest.mark.parametrize("name", CHECKS)
def test_every_check_says_what_it_looks_at(name: str, environment: Environment) -> None:
    graph = build_definitions(environment=environment).resolve_asset_graph()
    key = dg.AssetCheckKey(dg.AssetKey("bar_coverage"), name)
    assert key in graph.asset_check_keys


def test_sensor_asks_once_for_each_change_of_the_bars(
    environment: Environment, lake: Lake, instance: dg.DagsterInstance
) -> None:
    settings = load_settings()
    (sensor,) = [s for s in sensors(build_grid(settings), settings) if s.name == "new_coverage"]

    def tick(cursor: str | None) -> Any:
        return sensor(
            dg.build_sensor_context(instance=instance, cursor=cursor, resources={"lake": lake})
        )

    assert isinstance(tick(None), dg.SkipReason)
    store(lake, "AEMD")
    asked = tick(None)
    assert len(asked.run_requests) == 1
    assert isinstance(tick(asked.cursor), dg.SkipReason)
    store(lake, "GRI")
    again = tick(asked.cursor)
    assert again.run_requests[0].run_key != asked.run_requests[0].run_key
    add_run(instance, jobs.BARS, assets=["bars_1m"])
    assert isinstance(tick(asked.cursor), dg.SkipReason)
