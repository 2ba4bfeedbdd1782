"""Assembles the definitions: the one function that the real run and the tests share."""

from __future__ import annotations

import logging

import dagster as dg

from smallcaps_pipeline.defs import (
    bars,
    comparison,
    coverage,
    events,
    manifest,
    micro,
    report,
    universe,
    windows,
)
from smallcaps_pipeline.defs.io_managers import io_managers
from smallcaps_pipeline.defs.jobs import all_jobs
from smallcaps_pipeline.defs.partitions import build_grid, grid_warning
from smallcaps_pipeline.defs.progress import Display, NoDisplay
from smallcaps_pipeline.defs.resources import Provider
from smallcaps_pipeline.defs.schedules import schedules
from smallcaps_pipeline.defs.sensors import sensors
from smallcaps_pipeline.environment import Environment
from smallcaps_pipeline.lake import Lake
from smallcaps_pipeline.settings import Settings, load_settings

log = logging.getLogger(__name__)

# In the order of the flow.
STAGES = (universe, bars, coverage, comparison, events, manifest, windows, micro, report)


def build_definitions(
    *,
    settings: Settings | None = None,
    environment: Environment | None = None,
    provider: Provider | None = None,
    display: Display | None = None,
) -> dg.Definitions:
    """Return the whole graph.

    Args:
        settings: Configuration; None loads it.
        environment: Folders, key and address; None reads the process's environment.
        provider: Where data come from; None is the environment's.
        display: Shows progress to somebody who looks; None is nobody.
    """
    settings = settings or load_settings()
    environment = environment or Environment()
    provider = provider or Provider(settings, environment)
    if warning := grid_warning(settings, provider.last_finished_day()):
        log.warning(warning)
    grid = build_grid(settings)
    lake = Lake(environment.data_root)
    return dg.Definitions(
        assets=[asset for stage in STAGES for asset in stage.assets(grid, settings)],
        jobs=all_jobs(),
        schedules=schedules(grid, settings),
        sensors=sensors(grid, settings),
        resources={
            "lake": lake,
            "provider": provider,
            "display": display or NoDisplay(),
            **io_managers(lake, grid),
        },
        executor=dg.in_process_executor,
    )
