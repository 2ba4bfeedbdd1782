"""The daily schedules: yesterday's bars and events of every symbol, after trading days only."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta

import dagster as dg

from smallcaps_pipeline.cells import period_of
from smallcaps_pipeline.defs import jobs
from smallcaps_pipeline.defs.partitions import SYMBOL, Cell, Grid
from smallcaps_pipeline.sessions import NEW_YORK, is_trading_day, shift_trading_day
from smallcaps_pipeline.settings import Settings

AFTER_PUBLICATION = "0 12 * * 2-6"  # files and corrections of a day are out by 11:00 New York
RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"


def range_tags(first: Cell, last: Cell) -> dict[str, str]:
    """Return the run tags that make a run cover all cells from one to another."""
    return {RANGE_START: first.key, RANGE_END: last.key}


def daily_requests(
    day: date, symbols: Sequence[str], grid: Grid, settings: Settings
) -> Iterator[dg.RunRequest]:
    """Return the runs that bring in the bars of a trading day and detect its events.

    The day's period comes first, then those that end within the look-back: their last sessions are
    asked for once more.

    Args:
        day: The trading day that is over and published.
        symbols: Symbol partitions, in Dagster's order.
        grid: The partitions.
        settings: For the number of cells that one run takes, and the look-back.
    """
    look_back = settings.provider.look_back_sessions
    days = (shift_trading_day(day, -n) for n in range(look_back + 1))
    size = settings.partitions.cells_per_run
    for period in dict.fromkeys(period_of(one, grid.cadence) for one in days):
        if period.last < grid.periods.start.date():
            return
        for start in range(0, len(symbols), size):
            chunk = symbols[start : start + size]
            yield dg.RunRequest(
                run_key=f"{day} {period.key} {chunk[0]}",
                tags=range_tags(Cell(chunk[0], period), Cell(chunk[-1], period)),
            )


def files_request(day: date, settings: Settings) -> dg.RunRequest:
    """Return the run that brings in a day's file, and replaced ones of the sessions before."""
    first = shift_trading_day(day, -settings.provider.flat_files.recheck_sessions)
    return dg.RunRequest(run_key=str(day), tags={RANGE_START: str(first), RANGE_END: str(day)})


def ended_day(scheduled: datetime) -> date | None:
    """Return the trading day that ended the day before a schedule's tick; None if none did."""
    day = scheduled.date() - timedelta(days=1)
    return day if is_trading_day(day) else None


def schedules(grid: Grid, settings: Settings) -> Sequence[dg.ScheduleDefinition]:
    """Return all schedules; each is off until it is switched on."""
    closed = dg.SkipReason("the exchange was closed the day before")
    by_files = settings.provider.bars_source == "flat_files"

    @dg.schedule(
        name="daily_update",
        job=jobs.job(jobs.DAY_FILES if by_files else jobs.BARS),
        cron_schedule=AFTER_PUBLICATION,
        execution_timezone=NEW_YORK,
        description=(
            "At noon in New York, the day after a trading day: fetch its 1-minute bars of every "
            "symbol. The sensor new_bars then detects its events. With flat files: fetch its day "
            "file, and look again at the last ones; new_day_files then makes the cells."
        ),
    )
    def daily_update(
        context: dg.ScheduleEvaluationContext,
    ) -> Sequence[dg.RunRequest] | dg.SkipReason:
        day = ended_day(context.scheduled_execution_time)
        if day is None:
            return closed
        if by_files:
            return [files_request(day, settings)]
        symbols = context.instance.get_dynamic_partitions(SYMBOL)
        return list(daily_requests(day, symbols, grid, settings))

    @dg.schedule(
        name="daily_market",
        job=jobs.job(jobs.DAILY_BARS),
        cron_schedule=AFTER_PUBLICATION,
        execution_timezone=NEW_YORK,
        description="At the same time: the daily bars of the whole market, for the ranking.",
    )
    def daily_market(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        day = ended_day(context.scheduled_execution_time)
        return closed if day is None else dg.RunRequest(run_key=str(day), partition_key=str(day))

    @dg.schedule(
        name="daily_news",
        job=jobs.job(jobs.NEWS),
        cron_schedule=AFTER_PUBLICATION,
        execution_timezone=NEW_YORK,
        description="At the same time: the news of all symbols, for the events' news latency.",
    )
    def daily_news(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        day = ended_day(context.scheduled_execution_time)
        return closed if day is None else dg.RunRequest(run_key=str(day), partition_key=str(day))

    return [daily_update, daily_market, daily_news]
