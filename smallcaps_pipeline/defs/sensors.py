"""Sensors: bars lead to events, events to a manifest and plan, a plan to downloads, then a report.

Each decides with a plain function over what is there; the decorated function only gathers it. A
sensor waits while runs of the stage before are unfinished, so a backfill of 2,000 shards leads to
one manifest. The run key names the state that asked for the run: once per change.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import dagster as dg

from smallcaps_pipeline.cells import period_from_key
from smallcaps_pipeline.defs import jobs
from smallcaps_pipeline.defs.batch_runs import batches_under_way, is_busy, tries_of_batches
from smallcaps_pipeline.defs.launch import pack
from smallcaps_pipeline.defs.partitions import SYMBOL, Cell, Grid
from smallcaps_pipeline.defs.processes import fail_dead_runs
from smallcaps_pipeline.defs.schedules import range_tags
from smallcaps_pipeline.lake import Lake
from smallcaps_pipeline.report.escalation import release_of
from smallcaps_pipeline.schemas import BARS, EVENTS, MANIFEST, MICRO_FEATURES
from smallcaps_pipeline.settings import Settings
from smallcaps_pipeline.windows import batch_names

EVERY_S: Final = 30
DOWNLOADS_AT_ONCE: Final = 4  # runs asked for in one tick; the queue and the pool do the rest
DETECTIONS_AT_ONCE: Final = 40
TRIES: Final = 3  # of one batch; after them a person looks at what fails


def files_state(files: Iterable[Path]) -> str | None:
    """Return a digest of names, sizes and times of files: it changes when one of them does."""
    stats = [(str(file), file.stat()) for file in sorted(files)]
    if not stats:
        return None
    text = "\n".join(f"{name} {stat.st_size} {stat.st_mtime_ns}" for name, stat in stats)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def next_batches(
    there: Sequence[str],
    done: Collection[str],
    under_way: Collection[str],
    tries: Mapping[str, int],
) -> list[str]:
    """Return the batches to ask for, a few at a time.

    Best first, neither done nor under way; one that has failed comes after all that were not yet
    tried, and a few times only: it must not keep the others waiting.
    """
    room = DOWNLOADS_AT_ONCE - len(under_way)
    waiting = [
        batch
        for batch in there
        if batch not in done and batch not in under_way and tries.get(batch, 0) < TRIES
    ]
    return sorted(waiting, key=lambda batch: tries.get(batch, 0))[: max(room, 0)]


def undetected_cells(lake: Lake, grid: Grid) -> list[Cell]:
    """List the cells whose bars are younger than their events, or have none."""
    shards = {(symbol, key): file for symbol, key, file in lake.cells(EVENTS.name)}
    cells = []
    for symbol, key, bars in lake.cells(BARS.name):
        shard = shards.get((symbol, key))
        if shard is None or shard.stat().st_mtime_ns < bars.stat().st_mtime_ns:
            cells.append(Cell(symbol, period_from_key(key, grid.cadence)))
    return cells


def _is_busy(context: dg.SensorEvaluationContext, assets: Collection[str]) -> bool:
    """Say whether a live run makes one of some assets; dead ones are ended first."""
    fail_dead_runs(context.instance)
    return is_busy(context.instance, assets)


def sensors(grid: Grid, settings: Settings) -> Sequence[dg.SensorDefinition]:
    """Return all sensors; each is off until it is switched on."""
    profile = settings.manifest.active_profile
    return [
        _new_bars(grid, settings),
        _new_events(profile, settings),
        _new_batches(profile, settings),
        _new_figures(profile),
    ]


def _new_bars(grid: Grid, settings: Settings) -> dg.SensorDefinition:
    @dg.sensor(
        name="new_bars",
        job=jobs.job(jobs.EVENTS),
        minimum_interval_seconds=EVERY_S,
        description=(
            "When bars are younger than their events, fetched or imported, and no fetch runs: "
            "detect their events. A symbol whose bars failed does not keep the others waiting."
        ),
    )
    def new_bars(
        context: dg.SensorEvaluationContext, lake: dg.ResourceParam[Lake]
    ) -> dg.SensorResult | dg.SkipReason:
        if _is_busy(context, [BARS.name, EVENTS.name]):
            return dg.SkipReason("bars or events are being made")
        cells = undetected_cells(lake, grid)
        if not cells:
            return dg.SkipReason("all events are younger than their bars")
        known = context.instance.get_dynamic_partitions(SYMBOL)
        unknown = sorted({cell.symbol for cell in cells} - set(known))
        cubes = pack(cells, [*known, *unknown], grid.cadence, settings.partitions.cells_per_run)
        state = files_state(lake.cell(BARS.name, c.symbol, c.period.key) for c in cells)
        return dg.SensorResult(
            run_requests=[
                dg.RunRequest(
                    run_key=f"{cube.first.key} {cube.last.key} {state}",
                    tags=range_tags(cube.first, cube.last),
                )
                for cube in cubes[:DETECTIONS_AT_ONCE]
            ],
            dynamic_partitions_requests=[grid.symbols.build_add_request(unknown)],
        )

    return new_bars


def _new_events(profile: str, settings: Settings) -> dg.SensorDefinition:
    @dg.sensor(
        name="new_events",
        jobs=[jobs.job(jobs.MANIFEST), jobs.job(jobs.SUMMARY)],
        minimum_interval_seconds=EVERY_S,
        description=(
            f"When event shards have changed and no detection runs: choose events for {profile} "
            "anew, plan their downloads, count events."
        ),
    )
    def new_events(
        context: dg.SensorEvaluationContext, lake: dg.ResourceParam[Lake]
    ) -> dg.SensorResult | dg.SkipReason:
        if _is_busy(context, [BARS.name, EVENTS.name]):
            return dg.SkipReason("bars or events are being made")
        state = files_state(lake.files(EVENTS.name))
        if state is None or state == context.cursor:
            return dg.SkipReason("no event shard has changed")
        # The plan of a blocked profile would only fail; its manifest costs nothing.
        blocked = not release_of(lake, profile, settings).is_released
        return dg.SensorResult(
            run_requests=[
                dg.RunRequest(
                    run_key=f"manifest {state}",
                    job_name=jobs.MANIFEST,
                    partition_key=profile,
                    asset_selection=[dg.AssetKey(MANIFEST.name)] if blocked else None,
                ),
                dg.RunRequest(run_key=f"summary {state}", job_name=jobs.SUMMARY),
            ],
            cursor=state,
        )

    return new_events


def _new_batches(profile: str, settings: Settings) -> dg.SensorDefinition:
    @dg.sensor(
        name="new_batches",
        job=jobs.job(jobs.DOWNLOAD),
        minimum_interval_seconds=EVERY_S,
        description=(
            f"Downloads the planned batches of {profile}, best first; one that fails is tried "
            f"{TRIES} times in all. This spends requests: switch it on when you have seen the plan."
        ),
    )
    def new_batches(
        context: dg.SensorEvaluationContext, lake: dg.ResourceParam[Lake]
    ) -> dg.SensorResult | dg.SkipReason:
        if _is_busy(context, ["event_manifest", "window_plan"]):
            return dg.SkipReason("a plan is being made")
        release = release_of(lake, profile, settings)
        if not release.is_released:
            return dg.SkipReason(f"{profile} is blocked: {release.reason}")
        tries = tries_of_batches(context.instance)
        under_way = batches_under_way(context.instance)
        asked = next_batches(batch_names(lake, profile), _done(lake), under_way, tries)
        if not asked:
            return dg.SkipReason("no batch waits, or enough are under way")
        return dg.SensorResult(
            run_requests=[
                dg.RunRequest(run_key=f"{batch} {tries[batch] + 1}", partition_key=batch)
                for batch in asked
            ]
        )

    return new_batches


def _new_figures(profile: str) -> dg.SensorDefinition:
    @dg.sensor(
        name="new_figures",
        job=jobs.job(jobs.REPORT),
        minimum_interval_seconds=EVERY_S,
        description=f"When figures of windows are new and no download runs: report on {profile}.",
    )
    def new_figures(
        context: dg.SensorEvaluationContext, lake: dg.ResourceParam[Lake]
    ) -> dg.SensorResult | dg.SkipReason:
        if _is_busy(context, ["trade_windows", "quote_windows", "micro_features"]):
            return dg.SkipReason("windows are being fetched")
        state = files_state(lake.files(MICRO_FEATURES.name))
        if state is None or state == context.cursor:
            return dg.SkipReason("no figures are new")
        request = dg.RunRequest(run_key=state, partition_key=profile)
        return dg.SensorResult(run_requests=[request], cursor=state)

    return new_figures


def _done(lake: Lake) -> set[str]:
    """Return the batches whose windows are fetched and whose figures are computed."""
    return {file.stem.removeprefix("batch=") for file in lake.files(MICRO_FEATURES.name)}
