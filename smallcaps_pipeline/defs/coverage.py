"""Coverage: what is there of the bars, what is missing, where the provider's defects show."""

import time
from collections.abc import Sequence
from typing import Any

import dagster as dg
import polars as pl

from smallcaps_pipeline.bars.coverage_files import (
    RULES_VERSION,
    coverage_parts,
    days_covered,
    remove_others,
    symbols_with_cells,
    update_coverage,
)
from smallcaps_pipeline.bars.coverage_plot import coverage_svg
from smallcaps_pipeline.bars.coverage_summary import LIFE, Coverage, Expected, summarize
from smallcaps_pipeline.bars.update import CellState
from smallcaps_pipeline.defs.day_files import GROUP
from smallcaps_pipeline.defs.describe import OWNER, described, image, table_of
from smallcaps_pipeline.defs.partitions import SYMBOL, Grid
from smallcaps_pipeline.defs.progress import Display, ProgressLog
from smallcaps_pipeline.defs.resources import Provider
from smallcaps_pipeline.environment import World, world_of
from smallcaps_pipeline.lake import Lake
from smallcaps_pipeline.schemas import BAR_COVERAGE, TICKER_DETAILS, UNIVERSE
from smallcaps_pipeline.sessions import trading_days
from smallcaps_pipeline.settings import BarKpis, Settings
from smallcaps_pipeline.thresholds import at_most

ASSET = BAR_COVERAGE.name
CHECKS = {
    "files_are_sound": "No cell is unreadable, no stored bar is bad input or a differing copy.",
    "nothing_is_missing": "Every expected symbol was asked for on every trading day.",
    "liquid_names_have_no_holes": "Liquid names lack few minutes of RTH.",
    "vwap_lies_in_the_bar": "Few bars have a vwap outside [low, high].",
    "days_have_their_usual_size": "Few thin symbol-days, and no day off those around it.",
}
ROWS_SHOWN = 20


def assets(grid: Grid, settings: Settings) -> Sequence[dg.AssetsDefinition]:
    """Return the assets of the stage."""
    rules = settings.kpis.bars

    @dg.asset(
        group_name=GROUP,
        deps=[dg.AssetDep("bars_1m", partition_mapping=dg.AllPartitionMapping()), "universe"],
        owners=[OWNER],
        kinds={"parquet", "polars"},
        metadata=described(BAR_COVERAGE),
        code_version=RULES_VERSION,
        check_specs=[
            dg.AssetCheckSpec(name, asset=ASSET, description=text) for name, text in CHECKS.items()
        ],
        description=(
            "What the lake holds of every symbol and trading day, read from the bars themselves: "
            "what is there, missing, and suspect. Only cells that changed are read again."
        ),
    )
    def bar_coverage(
        context: dg.AssetExecutionContext,
        lake: dg.ResourceParam[Lake],
        provider: dg.ResourceParam[Provider],
        display: dg.ResourceParam[Display],
    ) -> dg.MaterializeResult:
        unreadable = _update_all(context, lake, grid, rules, display)
        symbols = context.instance.get_dynamic_partitions(SYMBOL)
        expected = expected_bars(lake, provider, symbols)
        coverage = summarize(coverage_parts(lake), expected, rules)
        return dg.MaterializeResult(
            metadata=_metadata(coverage, unreadable),
            check_results=check_results(coverage, unreadable, rules),
        )

    return [bar_coverage]


def expected_bars(lake: Lake, provider: Provider, symbols: Sequence[str]) -> Expected:
    """Return what should be there: the universe and all symbol partitions, on every trading day.

    From the first day that any symbol has, to the provider's last finished day; where nothing can
    be fetched, to the last day that any symbol has.
    """
    file = lake.table(UNIVERSE.name)
    ranked = lake.read(file, UNIVERSE)["symbol"].to_list() if file.exists() else []
    covered = days_covered(lake)
    last = provider.last_finished_day()
    first = covered[0] if covered else last
    if covered and provider.environment.is_simulated and world_of(lake.root) == World.REAL:
        last = covered[1]
    return Expected(frozenset([*ranked, *symbols]), first, max(first, last), listings(lake))


def listings(lake: Lake) -> pl.DataFrame:
    """Return from when to when each stock was listed, where the provider says so."""
    file = lake.table(TICKER_DETAILS.name)
    if not file.exists():
        return LIFE.to_frame()
    return lake.read(file, TICKER_DETAILS).select(
        "symbol", listed_from="list_date", listed_to=pl.col("delisted_at").dt.date()
    )


def check_results(
    coverage: Coverage, unreadable: dict[str, str], rules: BarKpis
) -> list[dg.AssetCheckResult]:
    """Judge the totals: each check with its figure and what it rests on."""
    n = coverage.totals()
    odd = coverage.by_day.filter("is_odd")["date"].to_list()
    wrong = n["bad_bars"] + n["conflicts"]
    shares = {
        "nothing_is_missing": (n["days_missing"], n["days_expected"], rules.max_missing_days_pct),
        "liquid_names_have_no_holes": (n["hole_minutes"], n["liquid_minutes"], rules.max_hole_pct),
        "vwap_lies_in_the_bar": (n["vwap_outside"], n["bars"], rules.max_vwap_outside_pct),
        "days_have_their_usual_size": (
            n["thin_days"],
            n["days_with_bars"],
            rules.max_thin_days_pct,
        ),
    }
    results = [
        dg.AssetCheckResult(
            check_name="files_are_sound",
            passed=not unreadable and not wrong,
            severity=dg.AssetCheckSeverity.ERROR if unreadable else dg.AssetCheckSeverity.WARN,
            metadata={
                "bad bars": n["bad_bars"],
                "differing copies": n["conflicts"],
                "equal copies": n["duplicates"],
                **({"unreadable": dg.MetadataValue.json(unreadable)} if unreadable else {}),
            },
        )
    ]
    for name, (count, total, allowed) in shares.items():
        passed = total == 0 or at_most(100 * count / total, allowed)
        more: dict[str, Any] = {}
        if name == "days_have_their_usual_size":
            passed = passed and len(odd) <= rules.max_odd_days
            more = {"odd days": dg.MetadataValue.json([str(day) for day in odd[:ROWS_SHOWN]])}
        if name == "nothing_is_missing":
            more = {"plot": image(coverage_svg(coverage.by_day))}
        results.append(
            dg.AssetCheckResult(
                check_name=name,
                passed=bool(passed),
                severity=dg.AssetCheckSeverity.WARN,
                metadata={
                    "count": count,
                    "of": total,
                    "percent": 100 * count / total if total else 0.0,
                    "allowed percent": allowed,
                    **more,
                },
            )
        )
    return results


def _update_all(
    context: dg.AssetExecutionContext, lake: Lake, grid: Grid, rules: BarKpis, display: Display
) -> dict[str, str]:
    """Bring the coverage of every symbol up to date; return why files could not be read."""
    cells = list(symbols_with_cells(lake))
    progress = ProgressLog(
        context.log.info, total=len(cells), unit="symbols", clock=time.monotonic, display=display
    )
    unreadable: dict[str, str] = {}
    written = 0
    for symbol, files in cells:
        update = update_coverage(lake, symbol, files, cadence=grid.cadence, rules=rules)
        unreadable.update(update.unreadable)
        written += update.state == CellState.WRITTEN
        progress.advance()
    remove_others(lake, frozenset(symbol for symbol, _ in cells))
    context.log.info(f"{written} of {len(cells)} symbols changed")
    return unreadable


def _metadata(coverage: Coverage, unreadable: dict[str, str]) -> dict[str, Any]:
    totals, expected = coverage.totals(), coverage.expected
    return {
        "dagster/row_count": totals["days_with_bars"] + totals["days_empty"],
        "first day": str(expected.first),
        "last day": str(expected.last),
        "trading days": len(trading_days(expected.first, expected.last)),
        "symbols with bars": len(coverage.symbols_with_bars),
        "missing symbols": len(coverage.missing_symbols),
        "first missing symbols": ", ".join(coverage.missing_symbols[:ROWS_SHOWN]) or "none",
        **{name.replace("_", " "): count for name, count in totals.items()},
        "unreadable files": dg.MetadataValue.json(unreadable),
        "days": image(coverage_svg(coverage.by_day)),
        "suspects": table_of(coverage.suspects.head(2 * ROWS_SHOWN)),
    }
