"""The `coverage` command: what is there of the bars, what is missing, what is suspect."""

from __future__ import annotations

from enum import StrEnum

import polars as pl

from smallcaps_pipeline.bars.coverage_files import coverage_parts
from smallcaps_pipeline.bars.coverage_summary import Coverage, Expected, summarize
from smallcaps_pipeline.commands.project import Project, open_project
from smallcaps_pipeline.commands.selection import Selection
from smallcaps_pipeline.console import Console
from smallcaps_pipeline.defs import jobs
from smallcaps_pipeline.defs.coverage import expected_bars
from smallcaps_pipeline.defs.partitions import SYMBOL
from smallcaps_pipeline.schemas import BAR_COMPARISON

ROWS_SHOWN = 15


class Names(StrEnum):
    """Symbols that the command lists alone, one a line."""

    MISSING = "missing"
    THERE = "there"


def show_coverage(
    console: Console, selection: Selection, names: Names | None, *, compare: bool = False
) -> None:
    """Bring `bar_coverage` up to date and print it, for the selected symbols and days.

    Args:
        console: Prints.
        selection: Symbols and days.
        names: Only these symbols' names.
        compare: Hold a sample of bars by REST against the day files, too.
    """
    with open_project(console) as project:
        project.run(jobs.COVERAGE)
        coverage = _summary(project, selection)
        if compare:
            project.run(jobs.COMPARISON)
            table = project.lake.table(BAR_COMPARISON.name)
            compared = project.lake.read(table, BAR_COMPARISON).to_dicts()
    if names is not None and not console.as_json:
        missing = names == Names.MISSING
        for symbol in coverage.missing_symbols if missing else coverage.symbols_with_bars:
            console.say(symbol)
        return
    _print(console, coverage)
    if compare:
        console.table("REST against day files", compared)
    console.finish()


def _summary(project: Project, selection: Selection) -> Coverage:
    instance = project.launcher.instance
    known = expected_bars(project.lake, project.provider, instance.get_dynamic_partitions(SYMBOL))
    first, last = selection.first or known.first, selection.last or known.last
    expected = Expected(selection.symbols or known.symbols, first, max(first, last), known.listed)
    parts = coverage_parts(project.lake, selection.symbols)
    return summarize(parts, expected, project.settings.kpis.bars)


def _print(console: Console, coverage: Coverage) -> None:
    totals, expected = coverage.totals(), coverage.expected
    console.fact("first day", str(expected.first))
    console.fact("last day", str(expected.last))
    console.fact("symbols expected", len(expected.symbols))
    console.fact("symbols with bars", len(coverage.symbols_with_bars))
    for name, count in totals.items():
        console.fact(name.replace("_", " "), count)
    console.names("missing symbols", coverage.missing_symbols)
    if console.as_json:
        console.table("by symbol", coverage.by_symbol.to_dicts())
        console.table("by day", coverage.by_day.to_dicts())
        console.table("suspects", coverage.suspects.to_dicts())
        return
    gaps = coverage.by_symbol.filter(
        (pl.col("days_missing") > 0) & (pl.col("days_with_bars") > 0)
    ).sort("days_missing", "symbol", descending=[True, False])
    shown = gaps.head(ROWS_SHOWN).select(
        "symbol",
        pl.col("days_expected").alias("days"),
        pl.col("days_with_bars").alias("with bars"),
        pl.col("days_empty").alias("empty"),
        pl.col("days_missing").alias("missing"),
        pl.col("first_missing").alias("from"),
        pl.col("last_missing").alias("to"),
    )
    console.table("symbols with missing days", shown.to_dicts())
    odd = coverage.by_day.filter("is_odd").select(
        "date", "symbols_with_bars", "usual_symbols", "bars", "thin_symbols"
    )
    console.table("days far off their usual size", odd.head(ROWS_SHOWN).to_dicts())
    console.table("suspect symbol-days", coverage.suspects.head(2 * ROWS_SHOWN).to_dicts())
