"""The data lake: paths, atomic parquet writes, lazy scans. The only place that builds a path.

    bars_1m/symbol=AEMD/date=2025.parquet
    intraday_events/symbol=AEMD/date=2025.parquet
    event_manifest/profile=core.parquet
    event_windows/symbol=AEMD/date=2025-10-07/event=AEMD_.../trades.parquet, quotes.parquet
    review/reviewer=anna/000001-....json
    report/profile=core/index.html

Files are readable with plain `pl.scan_parquet` and DuckDB (hive folders). A write goes to a
temporary file under `<root>/.tmp` on the same volume, is flushed to disk, and replaces the target
in one step: a reader never sees half a file, a killed writer leaves only a file in `.tmp`.
What a reader needs to know about a file (what it was made from) is parquet key-value metadata;
no wall-clock value is among it, so the same input gives the same bytes.

Keep out: what a table means (`schemas`), which day falls into which cell (`cells`).
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from smallcaps_pipeline.parquet import (
    COMPRESSION_LEVEL,
    ENCODINGS,
    OLDEST,
    ROW_GROUP_ROWS,
    RowDigest,
    dictionary_leaves,
    row_groups,
)
from smallcaps_pipeline.schemas import SchemaError, Table

METADATA_KEY: Final = b"smallcaps"
CONTENT_KEY: Final = "content"  # among the metadata: a digest of the rows
REPLACE_TRIES: Final = 20
REPLACE_WAIT_S: Final = 0.1
SYMBOL_SAFE: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-"


class LakeError(OSError):
    """A file of the lake cannot be read or written; the message names it and says what to do."""


class DiskFullError(LakeError):
    """There is no room for a file: no other file would fare better."""


@dataclass(frozen=True)
class Lake:
    """A folder of tables in hive layout.

    Attributes:
        root: Folder that holds the tables; made when first written to.
    """

    root: Path

    # paths ------------------------------------------------------------------------------------

    def cell(self, table: str, symbol: str, period: str) -> Path:
        """Return the file of one symbol and period of the date dimension."""
        return self.root / table / f"symbol={encode_symbol(symbol)}" / f"date={period}.parquet"

    def profile(self, table: str, profile: str) -> Path:
        """Return the file of one manifest profile."""
        return self.root / table / f"profile={profile}.parquet"

    def batch(self, table: str, batch: str) -> Path:
        """Return the file of one download batch."""
        return self.root / table / f"batch={batch}.parquet"

    def day(self, table: str, date: str) -> Path:
        """Return the file of one trading day of the whole market."""
        return self.root / table / f"date={date}.parquet"

    def symbol(self, table: str, symbol: str) -> Path:
        """Return the file of one symbol, all its days."""
        return self.root / table / f"symbol={encode_symbol(symbol)}.parquet"

    def table(self, table: str) -> Path:
        """Return the file of a table that is one frame."""
        return self.root / f"{table}.parquet"

    def window(self, symbol: str, date: str, event_id: str, kind: str) -> Path:
        """Return the file of the trades or quotes of one window."""
        folder = self.root / "event_windows" / f"symbol={encode_symbol(symbol)}" / f"date={date}"
        return folder / f"event={quote(event_id, safe='')}" / f"{kind}.parquet"

    def report(self, profile: str) -> Path:
        """Return the report page of a profile."""
        return self.root / "report" / f"profile={profile}" / "index.html"

    def record(self, table: str, owner: str, name: str) -> Path:
        """Return the file of one record of an append-only journal; `owner` is `key=value`."""
        return self.root / table / owner / f"{name}.json"

    # what is there ----------------------------------------------------------------------------

    def cells(self, table: str) -> Iterator[tuple[str, str, Path]]:
        """Yield (symbol, period key, file) of every cell file of a table, sorted."""
        for folder in _entries(self.root / table, "symbol="):
            symbol = unquote(folder.name.removeprefix("symbol="))
            for file in _entries(folder, "date="):
                yield symbol, file.stem.removeprefix("date="), file

    def symbols(self, table: str) -> Iterator[tuple[str, Path]]:
        """Yield (symbol, file) of a table with one file per symbol, sorted by file name."""
        for file in _entries(self.root / table, "symbol="):
            yield unquote(file.name.removeprefix("symbol=").removesuffix(".parquet")), file

    def files(self, table: str) -> list[Path]:
        """List the parquet files of a table, sorted."""
        return sorted((self.root / table).rglob("*.parquet"))

    def records(self, table: str) -> list[Path]:
        """List the records of an append-only journal, sorted."""
        return sorted((self.root / table).rglob("*.json"))

    def window_files(self, kind: str, symbol: str | None = None) -> list[Path]:
        """List the stored windows of a kind (trades or quotes), of one symbol or all, sorted."""
        folder = "*" if symbol is None else encode_symbol(symbol)
        pattern = f"symbol={folder}/date=*/event=*/{kind}.parquet"
        return sorted((self.root / "event_windows").glob(pattern))

    # reading ----------------------------------------------------------------------------------

    def scan(self, files: Sequence[Path], table: Table) -> pl.LazyFrame:
        """Scan files of one table lazily, in its schema; no files give the empty table."""
        if not files:
            return table.empty().lazy()
        frame = pl.scan_parquet(list(files), hive_partitioning=False, glob=False)
        return table.conform(frame, where=str(files[0]))

    def read(self, file: Path, table: Table) -> pl.DataFrame:
        """Read one file in the table's schema.

        Raises:
            LakeError: The file is damaged or lacks columns; the message names it.
        """
        try:
            return table.conform(pl.read_parquet(file, hive_partitioning=False), where=str(file))
        except FileNotFoundError:
            raise
        except SchemaError as error:
            raise LakeError(str(error)) from error
        except (pl.exceptions.PolarsError, ValueError, OSError) as error:
            why = str(error).partition("\n")[0]  # polars goes on with its query plan
            raise LakeError(f"{file}: cannot be read as {table.name}: {why}") from error

    # writing ----------------------------------------------------------------------------------

    def write(
        self,
        frame: pl.DataFrame,
        file: Path,
        *,
        metadata: Mapping[str, Any] | None = None,
        level: int = COMPRESSION_LEVEL,
        digested: bool = False,
    ) -> int:
        """Write a frame to a parquet file in one step; return its size in bytes.

        Args:
            frame: Rows in the order in which they are to be stored.
            file: A path that this lake gave.
            metadata: JSON values that describe the file; `read_metadata` gives them back.
            level: Of zstd; reading costs the same at any.
            digested: Keep a digest of the rows, which is the file's `fingerprint` whatever the
                level; it costs as much as half the writing.

        Raises:
            LakeError: The disk is full or the file cannot be replaced; the old file stays whole.
        """
        return self.write_frames(
            [frame], file, describe=lambda rows: metadata or {}, level=level, digested=digested
        )

    def write_frames(
        self,
        frames: Iterable[pl.DataFrame],
        file: Path,
        *,
        describe: Callable[[int], Mapping[str, Any]],
        level: int = COMPRESSION_LEVEL,
        group_rows: int = ROW_GROUP_ROWS,
        digested: bool = False,
    ) -> int:
        """Write frames of one schema one after the other, as `write` writes one of all their rows.

        How the rows are cut into frames changes no byte; a row group and a frame are in memory.

        Args:
            frames: At least one.
            file: A path that this lake gave.
            describe: Takes the number of rows; returns the metadata.
            level: Of zstd.
            group_rows: Rows of a row group.
            digested: Keep a digest of the rows.
        """
        groups = (group.to_arrow(compat_level=OLDEST) for group in row_groups(frames, group_rows))
        first, rows = next(groups), 0
        with (
            self.replacing(file) as temporary,
            pq.ParquetWriter(
                temporary,
                first.schema,
                compression="zstd",
                compression_level=level,
                use_dictionary=dictionary_leaves(first),
                column_encoding={
                    name: ENCODINGS[name] for name in first.column_names if name in ENCODINGS
                },
                store_schema=False,  # parquet's own types say it all; Arrow's take 2 kB a file
            ) as writer,
        ):
            digest = RowDigest(first.schema) if digested else None
            for table in chain([first], groups):
                writer.write_table(table, row_group_size=group_rows)
                if digest is not None:
                    digest.update(table, group_rows)
                rows += table.num_rows
            content = {} if digest is None else {CONTENT_KEY: digest.finish()}
            stored = {**describe(rows), **content}
            text = json.dumps(stored, sort_keys=True, separators=(",", ":"))
            writer.add_key_value_metadata({METADATA_KEY.decode(): text})
        return file.stat().st_size

    def write_text(self, text: str, file: Path) -> None:
        """Write a text file (UTF-8) in one step."""
        with self.replacing(file) as temporary:
            temporary.write_text(text, encoding="utf-8", newline="\n")

    @contextmanager
    def replacing(self, file: Path) -> Iterator[Path]:
        """Yield a temporary file that replaces `file` when the block ends without an error."""
        folder = self.root / ".tmp"
        temporary = folder / f"{uuid.uuid4().hex}{file.suffix}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            yield temporary
            with temporary.open("rb+") as written:
                os.fsync(written.fileno())
            file.parent.mkdir(parents=True, exist_ok=True)
            _replace(temporary, file)
        except OSError as error:
            if isinstance(error, LakeError):
                raise
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            reason = ("the disk is full: " if full else "") + (error.strerror or str(error))
            kind = DiskFullError if full else LakeError
            raise kind(
                f"{file}: cannot be written ({reason}); what was there before is unchanged"
            ) from error
        finally:
            temporary.unlink(missing_ok=True)

    def remove(self, file: Path) -> None:
        """Remove a file, and its folders as far as that leaves them empty."""
        file.unlink(missing_ok=True)
        for folder in file.parents:
            if folder == self.root:
                break
            try:
                folder.rmdir()
            except OSError:  # not empty, or not there
                break


def encode_symbol(symbol: str) -> str:
    """Return a symbol as a file name that is safe everywhere, also on case-blind disks.

    Everything but capitals, digits, `-` and inner dots is percent-encoded, so `BApA` (`BA%70A`)
    and `BAPA` do not meet; polars and DuckDB decode it when they read the hive folder.
    """
    last = len(symbol) - 1
    return "".join(
        char if char in SYMBOL_SAFE or (char == "." and 0 < i < last) else _percent(char)
        for i, char in enumerate(symbol)
    )


def _percent(char: str) -> str:
    quoted = quote(char, safe="")
    return quoted if quoted != char else f"%{ord(char):02X}"


def read_metadata(file: Path) -> dict[str, Any] | None:
    """Return what `Lake.write` stored about a file, or None where there is no (sound) file."""
    try:
        stored = pq.read_metadata(file).metadata or {}
    except FileNotFoundError:
        return None
    except (OSError, pa.ArrowException):
        return None
    found: dict[str, Any] = json.loads(stored.get(METADATA_KEY, b"{}"))
    return found


def row_count(file: Path) -> int:
    """Return the number of rows of a parquet file, from its footer.

    Raises:
        LakeError: The file is damaged; the message names it.
    """
    try:
        return int(pq.read_metadata(file).num_rows)
    except (OSError, pa.ArrowException) as error:
        raise LakeError(f"{file}: is no sound parquet file: {error}") from error


def fingerprint(file: Path) -> str:
    """Return a digest of a file's rows: stored by `Lake.write`, else that of the file's bytes."""
    stored = read_metadata(file) or {}
    return stored.get(CONTENT_KEY) or hashlib.blake2b(file.read_bytes(), digest_size=16).hexdigest()


def read_chunks(file: Path, rows: int) -> Iterator[pl.DataFrame]:
    """Read a parquet file piece by piece, in its order; a file without rows is one empty frame.

    Raises:
        LakeError: The file is damaged; the message names it.
    """
    try:
        with pq.ParquetFile(file) as parquet:
            yield from map(_from_arrow, parquet.iter_batches(batch_size=rows))
            if not parquet.metadata.num_rows:
                yield _from_arrow(parquet.schema_arrow.empty_table())
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError) as error:
        raise LakeError(f"{file}: cannot be read: {error}") from error


def _from_arrow(table: Any) -> pl.DataFrame:
    return pl.from_arrow(table)  # type: ignore[return-value]


def _entries(folder: Path, prefix: str) -> list[Path]:
    try:
        found = [entry.path for entry in os.scandir(folder) if entry.name.startswith(prefix)]
    except FileNotFoundError:
        return []
    return [Path(path) for path in sorted(found)]


def _replace(temporary: Path, file: Path) -> None:
    """Move `temporary` over `file`; on Windows a reader may hold the old file for a moment."""
    for attempt in range(REPLACE_TRIES):
        try:
            temporary.replace(file)
        except PermissionError as error:
            if attempt == REPLACE_TRIES - 1:
                raise LakeError(
                    f"{file}: cannot be replaced, another program holds it open ({error})"
                ) from error
            time.sleep(REPLACE_WAIT_S)
        else:
            return
