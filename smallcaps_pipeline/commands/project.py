"""The project that every command opens: settings, lake, instance, and a launcher of runs."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from smallcaps_pipeline.console import Console, WrongUseError
from smallcaps_pipeline.defs.build import build_definitions
from smallcaps_pipeline.defs.instance import project_instance
from smallcaps_pipeline.defs.launch import Launcher
from smallcaps_pipeline.defs.partitions import Grid, build_grid
from smallcaps_pipeline.defs.processes import fail_dead_runs
from smallcaps_pipeline.defs.progress import Display
from smallcaps_pipeline.defs.resources import Provider
from smallcaps_pipeline.environment import Environment, World, world_of
from smallcaps_pipeline.lake import Lake
from smallcaps_pipeline.settings import Settings, load_settings


@dataclass(frozen=True)
class Project:
    """The project as the environment says: settings, lake, grid, launcher of runs, progress."""

    settings: Settings
    environment: Environment
    lake: Lake
    grid: Grid
    provider: Provider
    launcher: Launcher
    display: Display

    @property
    def cannot_fetch(self) -> bool:
        """Whether there is no key and the lake holds real data: nothing simulated may join them."""
        return self.environment.is_simulated and world_of(self.lake.root) == World.REAL

    def run(
        self,
        job: str,
        partition: str | None = None,
        only: Collection[str] | None = None,
        config: Mapping[str, object] | None = None,
    ) -> None:
        """Run a job in this process: all of it, or `only` some assets, with a configuration."""
        self.launcher.run(job, partition=partition, assets=only, config=config)


@contextmanager
def open_project(console: Console) -> Iterator[Project]:
    """Open the project's Dagster instance with progress bars on this console."""
    settings, environment = load_settings(), Environment()
    provider = Provider(settings, environment)
    with project_instance() as instance, console.display() as display:
        fail_dead_runs(instance)
        definitions = build_definitions(
            settings=settings, environment=environment, provider=provider, display=display
        )
        yield Project(
            settings,
            environment,
            Lake(environment.data_root),
            build_grid(settings),
            provider,
            Launcher(definitions, instance),
            display,
        )


def check_profile(project: Project, profile: str) -> None:
    """Refuse a profile that the settings do not have."""
    if profile not in project.settings.manifest.profiles:
        known = ", ".join(project.settings.manifest.profiles)
        raise WrongUseError(f"profile {profile!r} is none of manifest.profiles: {known}")
