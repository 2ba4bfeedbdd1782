"""Fetch the windows of one batch: from plan rows and a source of ticks to window files.

Belongs here: what is asked for, in which order, how a failure is held to its window.
Keep out: HTTP and paging (polygon/), files (`files`), the decision to extend (`extension`), clocks.

Each plan row is a job of its own, several in flight. A job asks first what of its interval is not
yet stored, fetches that, and stores it at once; so a run that was killed goes on where it was, and
asks for nothing twice. Trades come before quotes: the thinning keeps the quote at each trade.

Long windows come in slices (`cuts`), each stored before the next is asked for, so that memory stays
bounded however long a window is, and a death loses one slice at most.

Windows of one symbol come one after the other, because a window may join a stored neighbour. Two
processes must not fetch windows of one symbol at the same time (one batch, or one pool slot per
symbol, is enough): the later write would not know of the earlier one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import polars as pl

from smallcaps_pipeline.lake import Lake
from smallcaps_pipeline.manifest.nbbo_level import NbboLevel
from smallcaps_pipeline.settings import Profile, Settings, load_settings
from smallcaps_pipeline.windows.cuts import (
    QUOTES_SLICE_ROWS,
    cuts_of_quotes,
    cuts_of_trades,
    slices,
)
from smallcaps_pipeline.windows.files import (
    TABLES,
    Fetched,
    leave_out_unread,
    remove_replaced,
    store,
)
from smallcaps_pipeline.windows.intervals import Interval, overlap
from smallcaps_pipeline.windows.nbbo import in_tape_order, reduce_nbbo
from smallcaps_pipeline.windows.outcomes import FetchResult, FetchStatus, WindowOutcome
from smallcaps_pipeline.windows.plan import UNREDUCED, Kind
from smallcaps_pipeline.windows.reading import read_interval, within
from smallcaps_pipeline.windows.stored import Part, Widened, missing_intervals, stored_windows


class Ticks(Protocol):
    """What a source gives: rows, and how many pages they took."""

    @property
    def frame(self) -> pl.DataFrame: ...
    @property
    def pages(self) -> int: ...


class TickSource(Protocol):
    """Where ticks come from; half-open [start, end), complete or an error."""

    def trades(self, *, symbol: str, start: datetime, end: datetime) -> Ticks: ...
    def quotes(self, *, symbol: str, start: datetime, end: datetime) -> Ticks: ...
    def last_quote_before(self, *, symbol: str, before: datetime) -> pl.DataFrame:
        """Return the last quote strictly before an instant: one row, or none."""
        ...


class OutsideWindowError(ValueError):
    """A source gave rows of another interval than it was asked for."""


class TradesMissingError(LookupError):
    """Quotes are to keep the one in force at each trade, and the trades are not stored."""


OnWindow = Callable[[WindowOutcome], None]
Errors = tuple[type[Exception], ...]


def fetch_trades(
    plan_rows: pl.DataFrame,
    source: TickSource,
    lake: Lake,
    *,
    settings: Settings | None = None,
    profile: str,
    workers: int | None = None,
    source_name: str = "provider",
    on_window: OnWindow | None = None,
    fatal: Errors = (),
    set_aside: Errors = (),
) -> FetchResult:
    """Fetch and store the trades of a batch, every field.

    Args:
        plan_rows: schemas.PLAN, or the rows of `plan_extensions`; rows of the other kind are left
            alone.
        source: Where ticks come from.
        lake: Where windows are stored.
        settings: Configuration; None loads it.
        profile: Name of the profile that the batch belongs to.
        workers: Windows in flight; None takes `provider.connections`.
        source_name: Who gives the ticks, for the files' metadata.
        on_window: Called in this thread as each row ends.
        fatal: Errors that would meet every window alike (a refused key): raised at once, after
            the windows in flight. Any other error fails its window only.
        set_aside: Errors after which asking for the same window again would not help (a date that
            the plan does not include): its window is set aside instead of failed.

    Returns:
        One outcome per row of the kind. A row that failed or was set aside has stored nothing, but
        for the slices of a long window that had come before: they are not asked for again.
    """
    job = _Job(source, lake, settings or load_settings(), profile, source_name, Kind.TRADES)
    return _fetch(plan_rows, job, workers, on_window or _tell_nobody, fatal, set_aside)


def fetch_quotes(
    plan_rows: pl.DataFrame,
    source: TickSource,
    lake: Lake,
    *,
    settings: Settings | None = None,
    profile: str,
    workers: int | None = None,
    source_name: str = "provider",
    on_window: OnWindow | None = None,
    fatal: Errors = (),
    set_aside: Errors = (),
) -> FetchResult:
    """Fetch, reduce and store the quotes of a batch, and the last quote before each start.

    Arguments and result as for `fetch_trades`, which comes first: with `windows.keep_at_trades`, a
    row that is thinned by rate fails with `TradesMissingError` where its trades are not stored.
    """
    job = _Job(source, lake, settings or load_settings(), profile, source_name, Kind.QUOTES)
    return _fetch(plan_rows, job, workers, on_window or _tell_nobody, fatal, set_aside)


def _tell_nobody(outcome: WindowOutcome) -> None:
    del outcome


def _fetch(
    plan_rows: pl.DataFrame,
    job: _Job,
    workers: int | None,
    on_window: OnWindow,
    fatal: Errors,
    set_aside: Errors,
) -> FetchResult:
    """Run the rows of a kind, best first, several at once, but one at a time per symbol.

    So what joins what does not depend on which answer comes first: windows of one symbol are
    stored in the plan's order, whatever the number in flight.
    """
    rows = plan_rows.filter(pl.col("kind") == job.kind.value).to_dicts()
    waiting = deque(range(len(rows)))
    outcomes: dict[int, WindowOutcome] = {}
    running: dict[Future[WindowOutcome], int] = {}
    room = workers or job.settings.provider.connections
    with ThreadPoolExecutor(room) as pool:
        while waiting or running:
            busy = {rows[number]["symbol"] for number in running.values()}
            for number in list(waiting):
                if len(running) == room:
                    break
                if rows[number]["symbol"] not in busy:
                    busy.add(rows[number]["symbol"])
                    waiting.remove(number)
                    running[pool.submit(job.run, rows[number])] = number
            ended, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in ended:
                number = running.pop(future)
                outcome = _outcome(future, rows[number], job.kind, fatal, set_aside)
                outcomes[number] = outcome
                on_window(outcome)
    return FetchResult(tuple(outcomes[number] for number in range(len(rows))))


def _outcome(
    future: Future[WindowOutcome],
    row: dict[str, Any],
    kind: Kind,
    fatal: Errors,
    set_aside: Errors,
) -> WindowOutcome:
    """Return how a job ended; an error of one window must not take the others."""
    try:
        return future.result()
    except fatal:
        raise
    except Exception as error:  # noqa: BLE001  whatever it is, it is reported with its window
        hopeless = isinstance(error, set_aside)
        return WindowOutcome(
            symbol=row["symbol"],
            kind=kind,
            window_start=row["window_start"],
            window_end=row["window_end"],
            status=FetchStatus.SET_ASIDE if hopeless else FetchStatus.FAILED,
            reason=f"{type(error).__name__}: {error}",
        )


@dataclass(frozen=True)
class _Read:
    """Rows as they are to be stored, how many came, and the pages they took."""

    frame: pl.DataFrame
    fetched: int
    pages: int


@dataclass(frozen=True)
class _Job:
    """What all rows of a call share."""

    source: TickSource
    lake: Lake
    settings: Settings
    profile_name: str
    source_name: str
    kind: Kind

    @property
    def profile(self) -> Profile:
        return self.settings.manifest.profiles[self.profile_name]

    def run(self, row: dict[str, Any]) -> WindowOutcome:
        """Fetch and store what of one plan row is missing."""
        remove_replaced(self.lake, self.kind, row["symbol"])
        there = stored_windows(self.lake, self.kind, row["symbol"])
        interval = (row["window_start"], row["window_end"])
        missing = missing_intervals(interval, there, row["nbbo"])
        rows = pages = size = 0
        cuts = self._cuts(row) if missing else []
        for start, end in (piece for whole in missing for piece in slices(whole, cuts)):
            part = Part(start, end, row["nbbo"])
            goes_on = start in cuts and self._is_stored_up_to(row["symbol"], part)
            read = self._read(row["symbol"], part, goes_on=goes_on)
            size = store(self._fetched(row, part, read), self.lake)
            pages += read.pages
            rows += read.frame.filter(within(part.interval)).height
        found = FetchStatus.DONE if rows else FetchStatus.EMPTY
        return WindowOutcome(
            symbol=row["symbol"],
            kind=self.kind,
            window_start=interval[0],
            window_end=interval[1],
            status=found if missing else FetchStatus.SKIPPED,
            rows=rows,
            pages=pages,
            bytes=size,
        )

    def _fetched(self, row: dict[str, Any], part: Part, read: _Read) -> Fetched:
        merged = (row["merged_start"], row["merged_end"])
        widened = None
        if row.get("widens_start") is not None:
            widened = Widened((row["widens_start"], row["widens_end"]), merged)
        return Fetched(
            symbol=row["symbol"],
            kind=self.kind,
            part=part,
            merged=merged,
            events_merged=tuple(row["events_merged"]),
            frame=read.frame,
            fetched=read.fetched,
            pages=read.pages,
            source=self.source_name,
            widened=widened,
        )

    def _cuts(self, row: dict[str, Any]) -> list[datetime]:
        """Return where a window is cut into slices; quotes that are reduced are not."""
        window = (row["merged_start"], row["merged_end"])
        if self.kind == Kind.TRADES:
            return cuts_of_trades(window)
        if row["nbbo"] not in (None, UNREDUCED.label):
            return []
        expected = self.settings.windows
        ratio = expected.expected_quotes_per_minute / expected.expected_trades_per_minute
        per_slice = max(int(QUOTES_SLICE_ROWS / ratio), 1)
        there = stored_windows(self.lake, Kind.TRADES, row["symbol"])
        overlapping = [stored for stored in there if overlap(stored.interval, window)]
        if sum(stored.rows for stored in overlapping) <= per_slice:
            return []
        trades = read_interval(self.lake, row["symbol"], Kind.TRADES, window)
        return cuts_of_quotes(trades["timestamp"], per_slice)

    def _is_stored_up_to(self, symbol: str, part: Part) -> bool:
        """Say whether what is stored runs up to a part, so that the state at its start is known."""
        there = stored_windows(self.lake, self.kind, symbol)
        parts = (before for stored in there for before in stored.parts)
        return any(before.end == part.start and before.covers(part.nbbo) for before in parts)

    def _read(self, symbol: str, part: Part, *, goes_on: bool) -> _Read:
        """Ask for the rows of an interval, as they are to be stored.

        Args:
            symbol: Ticker.
            part: The interval, and the NBBO reduction of its quotes.
            goes_on: It is a further slice: the quote before its start is the last one stored.
        """
        if self.kind == Kind.TRADES:
            ticks = self.source.trades(symbol=symbol, start=part.start, end=part.end)
            trades = _checked(ticks.frame, self.kind, symbol, part.interval)
            return _Read(trades, trades.height, ticks.pages)
        trade_times = self._trade_times(symbol, part)
        state = TABLES[self.kind].empty()
        if not goes_on:
            before = self.source.last_quote_before(symbol=symbol, before=part.start)
            state = TABLES[self.kind].conform(before.tail(1))
        ticks = self.source.quotes(symbol=symbol, start=part.start, end=part.end)
        inside = _checked(ticks.frame, self.kind, symbol, part.interval)
        level = NbboLevel.from_label(part.nbbo or "all")
        quotes = reduce_nbbo(
            pl.concat([state, inside]),
            by_change=level.by_change,
            max_hz=level.max_hz,
            trade_times=trade_times,
        )
        kept = leave_out_unread(quotes, all_fields=self.profile.all_fields)
        return _Read(kept, inside.height, ticks.pages + (not goes_on))

    def _trade_times(self, symbol: str, part: Part) -> pl.Series | None:
        """Return the instants at which the quote in force must survive; None where all do anyway.

        A quote lag (`micro.quote_lag_ns`) asks for the quote that was in force so much earlier.
        """
        rate = part.nbbo is not None and NbboLevel.from_label(part.nbbo).max_hz
        if not rate or not self.settings.windows.keep_at_trades:
            return None
        stored = stored_windows(self.lake, Kind.TRADES, symbol)
        if missing := missing_intervals(part.interval, stored, None):
            raise TradesMissingError(
                f"{symbol}: the trades of [{missing[0][0]}, {missing[0][1]}) are not stored, and "
                "quotes that are thinned keep the one in force at each trade: fetch trades first"
            )
        trades = read_interval(self.lake, symbol, Kind.TRADES, part.interval)
        return trades["timestamp"].to_physical() - self.settings.micro.quote_lag_ns


def _checked(frame: pl.DataFrame, kind: Kind, symbol: str, interval: Interval) -> pl.DataFrame:
    """Return rows in tape order, each once, in the declared schema; rows outside raise."""
    table = TABLES[kind]
    rows = table.conform(frame, where=f"{symbol} {kind.value}")
    numbers = rows["sequence_number"]
    if not (numbers[1:] > numbers[:-1]).all():  # else no two rows are one
        rows = rows.unique(list(table.key), keep="first", maintain_order=True)
    rows = in_tape_order(rows)
    if outside := rows.filter(~within(interval)).height:
        raise OutsideWindowError(
            f"{symbol}: {outside} {kind.value} outside [{interval[0]}, {interval[1]}) came back"
        )
    return rows
