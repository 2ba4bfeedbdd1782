"""The demo: the whole chain on the embedded emulator, through Dagster, in its own folders.

Keep out: anything that a real run does not do as well; the demo only chooses dates and order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from smallcaps_pipeline.cells import periods_between
from smallcaps_pipeline.defs import jobs
from smallcaps_pipeline.defs.build import build_definitions
from smallcaps_pipeline.defs.instance import instance_in
from smallcaps_pipeline.defs.launch import Launcher
from smallcaps_pipeline.defs.partitions import SYMBOL, Cell, Grid, build_grid
from smallcaps_pipeline.defs.progress import Display
from smallcaps_pipeline.defs.resources import Provider, simulated_market
from smallcaps_pipeline.defs.schedules import RANGE_END, RANGE_START
from smallcaps_pipeline.defs.universe import first_day_needed
from smallcaps_pipeline.emulator import running
from smallcaps_pipeline.environment import Environment
from smallcaps_pipeline.lake import Lake
from smallcaps_pipeline.settings import SHIPPED_CONFIG, Settings, load_settings
from smallcaps_pipeline.windows import batch_names

CONFIG: Final = SHIPPED_CONFIG.with_name("demo.yaml")
FIRST: Final = date(2025, 10, 1)
LAST: Final = date(2025, 11, 28)  # holds the end of daylight-saving time and an early close
PROFILE: Final = "core"


@dataclass(frozen=True)
class Demo:
    """What the demo left behind."""

    settings: Settings
    environment: Environment
    lake: Lake
    report: Path


def demo_environment(environment: Environment) -> Environment:
    """Return an environment of the demo's own: no key, folders beside the real ones."""
    return environment.model_copy(
        update={
            "data": environment.data / "demo",
            "state": environment.state / "demo",
            "api_key": None,
            "base_url": None,
        }
    )


def run_demo(environment: Environment, display: Display, say: Callable[[str], None]) -> Demo:
    """Run the chain from the universe to the report.

    Args:
        environment: The process's; the demo works in subfolders of its folders.
        display: Shows the progress of steps.
        say: Takes a line at the beginning of each stage.

    Raises:
        RunFailedError: A stage failed.
    """
    own, settings = demo_environment(environment), load_settings(CONFIG)
    grid, lake = build_grid(settings), Lake(own.data_root)
    with running(simulated_market()) as emulator, instance_in(own.state_root) as instance:
        provider = Provider(settings, own, emulator_url=emulator.base_url)
        definitions = build_definitions(
            settings=settings, environment=own, provider=provider, display=display
        )
        _run_stages(Launcher(definitions, instance), grid, lake, settings, say)
    return Demo(settings, own, lake, lake.report(PROFILE))


def _run_stages(
    launcher: Launcher, grid: Grid, lake: Lake, settings: Settings, say: Callable[[str], None]
) -> None:
    as_of = settings.universe.as_of
    assert as_of is not None  # config/demo.yaml names it
    say("Reference data and daily bars of the market")
    launcher.run(jobs.REFERENCE)
    first = first_day_needed(settings, as_of)
    launcher.run(jobs.DAILY_BARS, tags={RANGE_START: str(first), RANGE_END: str(as_of)})
    say("Universe: who moves most often and hardest")
    launcher.run(jobs.UNIVERSE)
    symbols = launcher.instance.get_dynamic_partitions(SYMBOL)
    periods = periods_between(FIRST, LAST, grid.cadence)
    cells = [Cell(symbol, period) for symbol in symbols for period in periods]
    for job, words in {jobs.BARS: "1-minute bars", jobs.EVENTS: "Events"}.items():
        say(f"{words} of {len(symbols)} symbols x {len(periods)} months")
        launcher.run_cells(job, cells, grid, settings.partitions.cells_per_run)
    launcher.run(jobs.SUMMARY)
    launcher.run(jobs.NEWS, tags={RANGE_START: str(FIRST), RANGE_END: str(LAST)})
    launcher.run(jobs.COVERAGE)
    say("Manifest: the events worth paying for, and what their windows cost")
    launcher.run(jobs.MANIFEST, partition=PROFILE)
    say("Trades and quotes around them, and their figures")
    for batch in batch_names(lake, PROFILE):
        launcher.run(jobs.DOWNLOAD, partition=batch)
    say("Report")
    launcher.run(jobs.REPORT, partition=PROFILE)
