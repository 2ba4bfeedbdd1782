"""The graph as a whole: it loads, and everything in it says what it is."""

from __future__ import annotations

from datetime import date
from itertools import pairwise
from typing import Any

import dagster as dg
import pytest

from smallcaps_pipeline import schemas
from smallcaps_pipeline.defs import jobs
from smallcaps_pipeline.defs.build import build_definitions
from smallcaps_pipeline.environment import Environment
from smallcaps_pipeline.settings import load_settings

# Name, group and partitions of DESIGN's table of assets.
ASSETS = {
    "ticker_details": ("universe", None),
    "short_interest": ("universe", None),
    "float_shares": ("universe", None),
    "splits": ("universe", None),
    "dividends": ("universe", None),
    "news": ("universe", "date"),
    "daily_bars": ("universe", "date"),
    "universe": ("universe", None),
    "flat_file_days": ("bars", "date"),
    "bars_1m": ("bars", "cell"),
    "bar_coverage": ("bars", None),
    "bar_comparison": ("bars", None),
    "intraday_events": ("events", "cell"),
    "event_summary": ("events", None),
    "event_manifest": ("manifest", "profile"),
    "window_plan": ("windows", "profile"),
    "trade_windows": ("windows", "batch"),
    "quote_windows": ("windows", "batch"),
    "micro_quality": ("micro", "batch"),
    "micro_features": ("micro", "batch"),
    "review_sample": ("report", "profile"),
    "go_no_go": ("report", "profile"),
}
TABLES = {
    "ticker_details": schemas.TICKER_DETAILS,
    "short_interest": schemas.SHORT_INTEREST,
    "float_shares": schemas.FLOAT_SHARES,
    "splits": schemas.SPLITS,
    "dividends": schemas.DIVIDENDS,
    "news": schemas.NEWS,
    "daily_bars": schemas.DAILY_BARS,
    "universe": schemas.UNIVERSE,
    "flat_file_days": schemas.FLAT_FILE_DAYS,
    "bars_1m": schemas.BARS,
    "bar_coverage": schemas.BAR_COVERAGE,
    "bar_comparison": schemas.BAR_COMPARISON,
    "intraday_events": schemas.EVENTS,
    "event_summary": schemas.EVENT_SUMMARY,
    "event_manifest": schemas.MANIFEST,
    "window_plan": schemas.PLAN,
    "trade_windows": schemas.TRADES,
    "quote_windows": schemas.QUOTES,
    "micro_quality": schemas.MICRO_QUALITY,
    "micro_features": schemas.MICRO_FEATURES,
    "review_sample": schemas.REVIEW_SAMPLE,
}


@pytest.fixture
def definitions(environment: Environment) -> dg.Definitions:
    return build_definitions(environment=environment)


def spec_of(definitions: dg.Definitions, name: str) -> dg.AssetSpec:
    (spec,) = [s for s in definitions.resolve_all_asset_specs() if s.key == dg.AssetKey(name)]
    return spec


def kind_of(partitions: dg.PartitionsDefinition | None) -> str | None:
    if isinstance(partitions, dg.MultiPartitionsDefinition):
        assert {d.name for d in partitions.partitions_defs} == {"symbol", "date"}
        return "cell"
    if isinstance(partitions, dg.DynamicPartitionsDefinition):
        return partitions.name
    if isinstance(partitions, dg.TimeWindowPartitionsDefinition):
        return "date"
    return None if partitions is None else "profile"


def test_definitions_load(definitions: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(definitions)


def test_entry_point_is_the_whole_graph(environment: Environment) -> None:
    from smallcaps_pipeline import definitions  # noqa: PLC0415  it reads the environment

    names = {key.path[-1] for key in definitions.defs.resolve_asset_graph().get_all_asset_keys()}
    assert names >= set(ASSETS)


@pytest.mark.parametrize(("name", "expected"), ASSETS.items())
def test_asset_has_its_name_group_and_partitions(
    definitions: dg.Definitions, name: str, expected: tuple[str, str | None]
) -> None:
    spec = spec_of(definitions, name)
    assert (spec.group_name, kind_of(spec.partitions_def)) == expected


def test_every_asset_says_what_it_is_whose_and_of_what_kind(definitions: dg.Definitions) -> None:
    for spec in definitions.resolve_all_asset_specs():
        assert len(spec.description or "") > 40, spec.key
        assert spec.owners, spec.key
        assert spec.kinds, spec.key
        assert spec.group_name in {group for group, _ in ASSETS.values()}, spec.key


@pytest.mark.parametrize(("name", "table"), TABLES.items())
def test_asset_of_a_table_shows_its_columns(
    definitions: dg.Definitions, name: str, table: schemas.Table
) -> None:
    metadata = spec_of(definitions, name).metadata
    columns = metadata["dagster/column_schema"].columns
    assert [column.name for column in columns] == list(table.columns)
    assert all(column.description and column.type for column in columns)
    assert metadata["one row is"] == table.row


def test_flow_goes_from_the_universe_to_the_report(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    flow = ["universe", "bars_1m", "intraday_events", "event_manifest", "window_plan"]
    flow += ["trade_windows", "quote_windows", "micro_features", "go_no_go"]
    for before, after in pairwise(flow):
        assert dg.AssetKey(before) in graph.get(dg.AssetKey(after)).parent_keys


def test_jobs_schedules_and_sensors_say_what_they_do(definitions: dg.Definitions) -> None:
    repository = definitions.get_repository_def()
    named: list[Any] = [
        *(repository.get_job(job.name) for job in jobs.all_jobs()),
        *repository.schedule_defs,
        *repository.sensor_defs,
    ]
    assert {one.name for one in repository.schedule_defs} >= {"daily_update", "daily_market"}
    assert {one.name for one in repository.sensor_defs} >= {"new_events", "new_batches"}
    for one in named:
        assert len(one.description or "") > 15, one.name


def test_every_asset_is_in_a_job_and_the_jobs_know_their_assets(
    definitions: dg.Definitions,
) -> None:
    repository = definitions.get_repository_def()
    made: set[dg.AssetKey] = set()
    for one in jobs.all_jobs():
        selected = repository.get_job(one.name).asset_layer.selected_asset_keys
        assert jobs.assets_of(one.name) == frozenset(selected)
        made |= selected
    assert made >= {dg.AssetKey(name) for name in ASSETS}
    assert jobs.assets_of("a job of somebody's own") is None


def test_grid_follows_the_settings(environment: Environment) -> None:
    settings = load_settings()
    update = {"date": "month", "start": date(2025, 3, 1)}
    partitions = settings.partitions.model_copy(update=update)
    settings = settings.model_copy(update={"partitions": partitions})
    definitions = build_definitions(settings=settings, environment=environment)
    grid = spec_of(definitions, "bars_1m").partitions_def
    assert isinstance(grid, dg.MultiPartitionsDefinition)
    periods = grid.get_partitions_def_for_dimension("date")
    assert periods.get_first_partition_key() == "2025-03"


def test_building_the_graph_touches_neither_lake_nor_state(environment: Environment) -> None:
    build_definitions(environment=environment)
    assert not environment.data_root.exists()
    assert not environment.state_root.exists()
