"""Micro: figures of every event from the ticks around it, and what is wrong with the ticks."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import dagster as dg
import polars as pl

from smallcaps_pipeline.cells import period_of
from smallcaps_pipeline.defs.batch_events import events_of
from smallcaps_pipeline.defs.describe import OWNER, described, figures, image, table_of
from smallcaps_pipeline.defs.news_of_events import known_latency, news_around
from smallcaps_pipeline.defs.partitions import Grid
from smallcaps_pipeline.defs.progress import Display, ProgressLog
from smallcaps_pipeline.defs.window_records import disk_used_pct
from smallcaps_pipeline.lake import Lake
from smallcaps_pipeline.micro import event_features, window_quality
from smallcaps_pipeline.report.quality import RULES, quality_findings, trades_per_minute_svg
from smallcaps_pipeline.report.status import Finding, Status, findings_frame, judge
from smallcaps_pipeline.schemas import (
    BARS,
    DAILY_BARS,
    MICRO_QUALITY,
    SPLITS,
    Table,
    micro_features_table,
)
from smallcaps_pipeline.settings import Range, Settings
from smallcaps_pipeline.universe import previous_close
from smallcaps_pipeline.windows import (
    Kind,
    StoredWindow,
    is_stored,
    read_interval,
    stored_windows,
)
from smallcaps_pipeline.windows.intervals import Interval, overlap
from smallcaps_pipeline.windows.stored import SHARES_FROM

GROUP = "micro"
DISK = "disk_used_pct"
NOT_STORED = "events without trades stored"
ROWS_AT_ONCE = 2_000_000  # trades and quotes in memory: some 500 MB at the peak
# What no market can be blamed for: rows lost, doubled, mixed up or damaged on the way.
INTEGRITY = frozenset(
    {
        *("out_of_order_pct", "duplicated_pct", "trades_bad_pct", "time_rounded_pct"),
        *("rth_with_trades_pct", "bars_without_trades_pct", "bars_rescaled_pct"),
    }
)


def assets(grid: Grid, settings: Settings) -> Sequence[dg.AssetsDefinition]:
    """Return the assets of the stage."""
    return [
        _features_asset(grid, settings),
        _quality_asset(grid, settings),
    ]


def _features_asset(grid: Grid, settings: Settings) -> dg.AssetsDefinition:
    table = micro_features_table(settings.micro.extra_features)

    @dg.asset(
        partitions_def=grid.batches,
        group_name=GROUP,
        deps=[
            "trade_windows",
            "quote_windows",
            "splits",
            dg.AssetDep("daily_bars", partition_mapping=dg.AllPartitionMapping()),
            dg.AssetDep("news", partition_mapping=dg.AllPartitionMapping()),
        ],
        owners=[OWNER],
        kinds={"parquet", "polars"},
        metadata=described(table),
        backfill_policy=dg.BackfillPolicy.multi_run(1),
        description=(
            "Spread, flow, tape speed, blocks, halts and continuation of every event of a batch. "
            "Columns named label_ look past the event: never train on them as inputs."
        ),
    )
    def micro_features(
        context: dg.AssetExecutionContext,
        lake: dg.ResourceParam[Lake],
        display: dg.ResourceParam[Display],
    ) -> dg.MaterializeResult:
        events = events_of(lake, context.partition_key)
        closes, news = _previous_closes(lake), news_around(lake, events)

        def work(ticks: Ticks) -> pl.DataFrame:
            return event_features(
                *(ticks.events, ticks.trades, ticks.quotes),
                previous_close=closes,
                news=news,
                settings=settings,
            )

        features, missing = _of_batch(context, lake, display, work, table)
        features = features.with_columns(known_latency(lake, events))
        file = lake.batch(table.name, context.partition_key)
        lake.write(features, file)
        return dg.MaterializeResult(
            metadata={
                **figures(features, "timestamp"),
                NOT_STORED: missing,
                "file": dg.MetadataValue.path(file),
            }
        )

    return micro_features


def _quality_asset(grid: Grid, settings: Settings) -> dg.AssetsDefinition:
    @dg.asset(
        partitions_def=grid.batches,
        group_name=GROUP,
        deps=[
            "trade_windows",
            "quote_windows",
            dg.AssetDep("bars_1m", partition_mapping=dg.AllPartitionMapping()),
        ],
        owners=[OWNER],
        kinds={"parquet", "polars"},
        metadata=described(MICRO_QUALITY),
        backfill_policy=dg.BackfillPolicy.multi_run(1),
        check_specs=_check_specs(),
        description=(
            "What is wrong with the windows of a batch: rows out of order, doubled or damaged, "
            "empty, one-sided, locked and crossed quotes, latency, bars that are not those of "
            "their prints, halts that the bars do not know. Each is a check with an allowed range."
        ),
    )
    def micro_quality(
        context: dg.AssetExecutionContext,
        lake: dg.ResourceParam[Lake],
        display: dg.ResourceParam[Display],
    ) -> dg.MaterializeResult:
        def work(ticks: Ticks) -> pl.DataFrame:
            return window_quality(
                *(ticks.events, ticks.trades, ticks.quotes),
                bars=_bars_of(lake, ticks.events, grid),
                files=ticks.files,
                shares_from=SHARES_FROM,
                settings=settings,
            )

        quality, missing = _of_batch(context, lake, display, work, MICRO_QUALITY)
        file = lake.batch(MICRO_QUALITY.name, context.partition_key)
        lake.write(quality, file)
        found = [*quality_findings(quality, settings), _disk(lake, settings)]
        return dg.MaterializeResult(
            metadata={
                **figures(quality, "timestamp"),
                NOT_STORED: missing,
                "file": dg.MetadataValue.path(file),
                "figures": table_of(findings_frame(found).drop("name", "note")),
                "trades a minute": image(trades_per_minute_svg(quality)),
            },
            check_results=[_check(finding) for finding in found],
        )

    return micro_quality


# checks -------------------------------------------------------------------------------------------


def _check_specs() -> list[dg.AssetCheckSpec]:
    described = [(rule.name, f"{rule.title}. {rule.note}".strip()) for rule in RULES]
    disk = (DISK, "How full the disk of the lake is.")
    return [
        dg.AssetCheckSpec(name, asset="micro_quality", description=text)
        for name, text in (*described, disk)
    ]


def _check(finding: Finding) -> dg.AssetCheckResult:
    """Return a finding as a check: failed where out of range, or where evidence is missing.

    Where a rule concerns no window of the batch there is nothing to judge, and the check passes.
    """
    nothing_to_judge = finding.status == Status.NOT_YET and finding.n == 0
    strict = finding.name in INTEGRITY and finding.status == Status.FAIL
    shown = "unknown" if finding.figure is None else f"{finding.figure:,.4g} {finding.unit}".strip()
    return dg.AssetCheckResult(
        check_name=finding.name,
        passed=finding.status == Status.PASS or nothing_to_judge,
        severity=dg.AssetCheckSeverity.ERROR if strict else dg.AssetCheckSeverity.WARN,
        description=f"{shown} over {finding.n:,} windows: {finding.status.value}",
        metadata={
            "status": finding.status.value,
            "rests on": finding.n,
            **({} if finding.figure is None else {"figure": finding.figure}),
            "allowed": f"{_bound(finding.low)} to {_bound(finding.high)} {finding.unit}".strip(),
        },
    )


def _bound(value: float | None) -> str:
    return "unbounded" if value is None else f"{value:,g}"


def _disk(lake: Lake, settings: Settings) -> Finding:
    used = disk_used_pct(lake)
    allowed = Range(low=None, high=settings.kpis.windows.disk_warning_pct)
    status = judge(used, allowed, n=1)
    return Finding(DISK, "Disk of the lake in use", used, "%", None, allowed.high, 1, status)


# the batch's rows ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ticks:
    """Events with the rows of their windows.

    Attributes:
        events: Manifest rows.
        trades, quotes: What is stored of their windows, with `symbol`; quotes None where none are.
        files: `event_id`, `bytes`, `extended` of the files that hold them.
    """

    events: pl.DataFrame
    trades: pl.DataFrame
    quotes: pl.DataFrame | None
    files: pl.DataFrame

    @property
    def rows(self) -> int:
        return self.trades.height + (0 if self.quotes is None else self.quotes.height)


def _of_batch(
    context: dg.AssetExecutionContext,
    lake: Lake,
    display: Display,
    work: Callable[[Ticks], pl.DataFrame],
    table: Table,
) -> tuple[pl.DataFrame, int]:
    """Return what `work` makes of a batch's events, so many rows in memory at a time.

    Of an event whose trades are not stored (its window was set aside) nothing may be said: such
    events have no row, and the second value counts them.
    """
    planned = events_of(lake, context.partition_key)
    events = _with_trades(lake, planned)
    progress = ProgressLog(
        context.log.info, total=len(events), unit="events", clock=time.monotonic, display=display
    )
    parts = [table.empty()]
    for ticks in in_chunks(_by_symbol(lake, events), ROWS_AT_ONCE):
        parts.append(work(ticks))
        progress.advance(len(ticks.events))
    done = pl.concat(parts).sort("symbol", "timestamp", "event_id")
    return done, len(planned) - len(events)


def _with_trades(lake: Lake, events: pl.DataFrame) -> pl.DataFrame:
    """Return the events whose trades are stored."""
    owns = ("symbol", "window_start", "window_end")
    there = [
        is_stored(lake, symbol, Kind.TRADES, (start, end))
        for symbol, start, end in events.select(owns).iter_rows()
    ]
    return events.filter(pl.Series(there, dtype=pl.Boolean))


def in_chunks(symbols: Iterable[Ticks], rows_at_once: int) -> Iterator[Ticks]:
    """Join small symbols, which cost more in calls than in rows, up to so many rows.

    Those with quotes and those without stay apart; a symbol is never cut.
    """
    waiting: dict[bool, list[Ticks]] = {True: [], False: []}
    for ticks in symbols:
        chunk = waiting[ticks.quotes is not None]
        if chunk and sum(one.rows for one in chunk) + ticks.rows > rows_at_once:
            yield _joined(chunk)
            chunk.clear()
        chunk.append(ticks)
    yield from (_joined(chunk) for chunk in waiting.values() if chunk)


def _joined(chunk: Sequence[Ticks]) -> Ticks:
    quotes = [one.quotes for one in chunk if one.quotes is not None]
    return Ticks(
        pl.concat(one.events for one in chunk),
        pl.concat(one.trades for one in chunk),
        pl.concat(quotes) if quotes else None,
        pl.concat(one.files for one in chunk),
    )


def _by_symbol(lake: Lake, events: pl.DataFrame) -> Iterator[Ticks]:
    """Yield one symbol's events after the other, those without stored quotes by themselves."""
    for rows in events.sort("symbol", "timestamp").partition_by("symbol", maintain_order=True):
        symbol = rows["symbol"][0]
        windows = {kind: stored_windows(lake, kind, symbol) for kind in Kind}
        quoted = pl.Series([bool(_holding(span, windows[Kind.QUOTES])) for _, span in _spans(rows)])
        for has_quotes in (True, False):
            chosen = rows.filter(quoted if has_quotes else ~quoted)
            if chosen.is_empty():
                continue
            spans = [span for _, span in _spans(chosen)]
            interval = min(start for start, _ in spans), max(end for _, end in spans)
            trades, quotes = (
                read_interval(lake, symbol, kind, interval).with_columns(symbol=pl.lit(symbol))
                for kind in (Kind.TRADES, Kind.QUOTES)
            )
            files = _files_of(chosen, windows)
            yield Ticks(chosen, trades, quotes if has_quotes else None, files)


def _spans(rows: pl.DataFrame) -> list[tuple[str, Interval]]:
    """Return event_id and own window of each row."""
    chosen = rows.select("event_id", "window_start", "window_end")
    return [(event, (start, end)) for event, start, end in chosen.iter_rows()]


def _holding(span: Interval, windows: Sequence[StoredWindow]) -> list[StoredWindow]:
    """Return the stored windows that overlap an event's own window."""
    return [window for window in windows if overlap(window.interval, span)]


def _files_of(rows: pl.DataFrame, windows: dict[Kind, list[StoredWindow]]) -> pl.DataFrame:
    """Return per event the size of the files that hold its window, and whether it was widened."""
    everything = [window for kind in Kind for window in windows[kind]]
    held = [(event, _holding(span, everything)) for event, span in _spans(rows)]
    return pl.DataFrame(
        [
            (event, sum(w.file.stat().st_size for w in own), any(w.extended for w in own))
            for event, own in held
        ],
        schema={"event_id": pl.String, "bytes": pl.Int64, "extended": pl.Boolean},
        orient="row",
    )


def _bars_of(lake: Lake, events: pl.DataFrame, grid: Grid) -> pl.DataFrame | None:
    """Return the bars of the cells that hold some events; None where there are none."""
    days = events.select("symbol", pl.col("date").str.to_date()).unique()
    files = {
        lake.cell(BARS.name, symbol, period_of(day, grid.cadence).key)
        for symbol, day in days.iter_rows()
    }
    there = sorted(file for file in files if file.exists())
    return lake.scan(there, BARS).collect() if there else None


def _previous_closes(lake: Lake) -> pl.DataFrame | None:
    """Return the previous closes on each day's price basis; None without daily bars."""
    daily = lake.files(DAILY_BARS.name)
    if not daily:
        return None
    splits = lake.table(SPLITS.name)
    known = lake.read(splits, SPLITS) if splits.exists() else SPLITS.empty()
    return previous_close(lake.scan(daily, DAILY_BARS).collect(), known)
