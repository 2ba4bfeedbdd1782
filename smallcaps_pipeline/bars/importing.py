"""Taking existing bar files into the lake (`smallcaps import-bars`).

Reads the old layout (`.../symbol=XXX/date=YYYY-MM-DD.parquet`) or any parquet and CSV files. The
symbol comes from a column `symbol` (or `ticker`), else from a folder `symbol=XXX`; a naive time
is taken in the time zone that the user states, never guessed. Each file is read by itself: one
that cannot be used is set aside with its reason, the others go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import unquote

import polars as pl

from smallcaps_pipeline.bars.clean import OPTIONAL, clean_bars
from smallcaps_pipeline.bars.update import (
    IMPORTED,
    TABLE,
    StoredBars,
    stored_bars,
    write_cell,
)
from smallcaps_pipeline.cells import Cadence, period_from_key, period_key
from smallcaps_pipeline.lake import Lake
from smallcaps_pipeline.schemas import BARS, UTC_US, SchemaError
from smallcaps_pipeline.sessions import trading_day

# Column names of other layouts: the provider's flat files and its JSON, and common exports.
ALIASES: Final = {
    "ticker": "symbol",
    "window_start": "timestamp",
    "datetime": "timestamp",
    "time": "timestamp",
    "t": "timestamp",
    "o": "open",
    "h": "high",
    "l": "low",
    "c": "close",
    "v": "volume",
    "vw": "vwap",
    "n": "transactions",
}
SEVERAL_FILES: Final = "(several files)"
SUFFIXES: Final = (".parquet", ".csv", ".csv.gz")
ISO_8601: Final = r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?$"
WITH_ZONE: Final = r"(Z|[+-]\d\d:?\d\d)$"
NS_PER_UNIT: Final = {10**17: 1, 10**14: 1_000, 10**11: 1_000_000}  # by size, years 2003-2035


@dataclass
class Imported:
    """What an import did.

    Attributes:
        files: Files read.
        rows: Good bars taken in.
        cells: (symbol, period key) of the cells written.
        set_aside: Bars set aside, by file and reason; copies across files under `SEVERAL_FILES`.
        failed: Files that could not be used, with the reason.
    """

    files: int = 0
    rows: int = 0
    cells: list[tuple[str, str]] = field(default_factory=list)
    set_aside: dict[str, dict[str, int]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def count_aside(self, where: str, aside: pl.DataFrame) -> None:
        """Count bars set aside (`schemas.SET_ASIDE`) under a file's name."""
        for reason, count in aside["reason"].value_counts(sort=True).iter_rows():
            by_reason = self.set_aside.setdefault(where, {})
            by_reason[reason] = by_reason.get(reason, 0) + count


def import_bars(
    source: Path,
    lake: Lake,
    *,
    cadence: Cadence,
    timezone: str | None,
    on_symbol: Callable[[str], None] = lambda symbol: None,
) -> Imported:
    """Read all bar files below a folder (or one file) and write them as cells of the lake.

    Bars that the lake has already for the same symbol and minute meet the new ones as copies do
    (`clean_bars`); so an import can be run again.

    Args:
        source: A folder or a file.
        lake: Where the cells go.
        cadence: Length of a cell's period.
        timezone: Time zone of naive timestamps; None makes a naive time an error.
        on_symbol: Called with each symbol when it is done.

    Raises:
        FileNotFoundError: There is no bar file at `source`.
    """
    found = bar_files(source)
    if not found:
        raise FileNotFoundError(f"{source}: no bar files there ({', '.join(SUFFIXES)})")
    done = Imported()
    for symbol, frames in _by_symbol(found, timezone, done):
        _write_symbol(lake, symbol, pl.concat(frames), cadence, done)
        on_symbol(symbol)
    return done


def bar_files(source: Path) -> list[Path]:
    """List the files that hold bars below `source`, sorted."""
    if source.is_file():
        return [source]
    return sorted(path for path in source.rglob("*") if path.name.endswith(SUFFIXES))


def _by_symbol(
    files: list[Path], timezone: str | None, done: Imported
) -> Iterator[tuple[str, list[pl.DataFrame]]]:
    """Yield each symbol with its frames; files of one symbol folder stand together."""
    folders: dict[Path, list[Path]] = {}
    for file in files:
        folders.setdefault(file.parent, []).append(file)
    for _, group in sorted(folders.items()):
        frames: dict[str, list[pl.DataFrame]] = {}
        for file in group:
            for symbol, frame in _read(file, timezone, done).items():
                frames.setdefault(symbol, []).append(frame)
        yield from sorted(frames.items())


def _read(file: Path, timezone: str | None, done: Imported) -> dict[str, pl.DataFrame]:
    try:
        frame = read_bar_file(file, timezone=timezone)
    except (SchemaError, ValueError, OSError, pl.exceptions.PolarsError) as error:
        done.failed[str(file)] = str(error)
        return {}
    done.files += 1
    good, aside = clean_bars(frame)
    done.count_aside(str(file), aside)
    return {str(key[0]): part for key, part in good.partition_by("symbol", as_dict=True).items()}


def read_bar_file(file: Path, *, timezone: str | None) -> pl.DataFrame:
    """Read one file of bars in the schema of `BARS`, not cleaned.

    Raises:
        SchemaError: Columns are missing, or the time is naive and no time zone was stated.
    """
    if file.name.endswith(".parquet"):
        frame = pl.read_parquet(file, hive_partitioning=False)
    else:
        # Not parsed: polars reads 10/07/2025 as 10 July, and the ticker TRUE as a truth value.
        texts = dict.fromkeys(("symbol", "ticker"), pl.String)
        frame = pl.read_csv(file, infer_schema_length=None, schema_overrides=texts)
    names = {name: ALIASES[name] for name in frame.columns if name in ALIASES}
    frame = frame.rename({old: new for old, new in names.items() if new not in frame.columns})
    if "symbol" not in frame.columns:
        frame = frame.with_columns(symbol=pl.lit(_symbol_of(file)))
    frame = frame.with_columns(
        pl.lit(None).alias(name) for name in OPTIONAL if name not in frame.columns
    )
    if "timestamp" not in frame.columns:
        raise SchemaError(f"{file}: has no column `timestamp`; it has {frame.columns}")
    return BARS.conform(
        frame.with_columns(timestamp=_instant(frame["timestamp"], file, timezone)), str(file)
    )


def _symbol_of(file: Path) -> str:
    for folder in file.parents:
        if folder.name.startswith("symbol="):
            return unquote(folder.name.removeprefix("symbol="))
    raise SchemaError(f"{file}: has no column `symbol` and lies in no folder `symbol=...`")


def _instant(time: pl.Series, file: Path, timezone: str | None) -> pl.Series:
    """Return the start of the minute in UTC, whatever form the file gives it."""
    if time.dtype.is_integer():  # an epoch counts from a UTC instant
        time = time.cast(pl.Int64)
        newest = int(time.fill_null(0).to_numpy().max(initial=0))
        ns = next((ns for least, ns in NS_PER_UNIT.items() if newest >= least), 1_000_000_000)
        return (time * ns).cast(pl.Datetime("ns", "UTC")).cast(UTC_US)
    if time.dtype == pl.String:
        time = _parsed(time, file)
    if not isinstance(time.dtype, pl.Datetime):
        raise SchemaError(f"{file}: column 'timestamp' is {time.dtype}, expected an instant")
    if time.dtype.time_zone:
        return time.dt.convert_time_zone("UTC").cast(UTC_US)
    if timezone is None:
        raise SchemaError(
            f"{file}: column 'timestamp' has no time zone; say which with --timezone UTC or "
            "--timezone America/New_York"
        )
    # An hour that the clocks show twice or never is no instant: such a bar is set aside.
    aware = time.dt.replace_time_zone(timezone, ambiguous="null", non_existent="null")
    return aware.dt.convert_time_zone("UTC").cast(UTC_US)


def _parsed(texts: pl.Series, file: Path) -> pl.Series:
    """Return times written as ISO 8601, aware where they have an offset; other forms are refused.

    Raises:
        SchemaError: A time has another form (is 10/07 in July or in October?), or only some have
            an offset.
    """
    known = texts.drop_nulls()
    if len(wrong := known.filter(~known.str.contains(ISO_8601))):
        raise SchemaError(
            f"{file}: column 'timestamp' holds {wrong[0]!r}, expected times like "
            "2025-10-07T13:30:00Z or 2025-10-07 09:30"
        )
    aware = known.str.contains(WITH_ZONE)
    if aware.any() and not aware.all():
        raise SchemaError(f"{file}: column 'timestamp' has a time zone in some of its rows only")
    zone = "UTC" if aware.any() else None
    return texts.str.to_datetime(time_unit="us", time_zone=zone)


def _write_symbol(
    lake: Lake, symbol: str, bars: pl.DataFrame, cadence: Cadence, done: Imported
) -> None:
    good, copies = clean_bars(bars)
    done.count_aside(SEVERAL_FILES, copies)
    done.rows += len(good)
    day = trading_day(pl.col("timestamp"))
    keyed = good.with_columns(_key=period_key(day, cadence))
    for (key,), part in keyed.partition_by("_key", as_dict=True, include_key=False).items():
        file = lake.cell(TABLE, symbol, str(key))
        before = stored_bars(file)
        if before is not None:
            part, _ = clean_bars(pl.concat([lake.read(file, BARS), part]))
        last = part.select(day.max()).item()
        # A cell of the provider's stays one: its next days are still to be asked for.
        if before is None or before.is_users:
            before = StoredBars(IMPORTED, last)
        write_cell(lake, part, symbol, period_from_key(str(key), cadence), before)
        done.cells.append((symbol, str(key)))
