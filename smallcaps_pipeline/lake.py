"""The data lake: paths, atomic parquet writes, lazy scans. The only place that builds a path.

    bars_1m/symbol=AEMD/date=2025.parquet
    intraday_events/symbol=AEMD/date=2025.parquet
    event_manifest/profile=core.parquet
    event_windows/symbol=AEMD/date=2025-10-07/event=AEMD_.../trades.parquet, quotes.parquet
    report/profile=core/index.html

Files are readable with plain `pl.scan_parquet` and DuckDB (hive folders). A write goes to a
temporary file under `<root>/.tmp` on the same volume, is flushed to disk, and replaces the target
in one step: a reader never sees half a file, a killed writer leaves only a file in `.tmp`.
What a reader needs to know about a file (what it was made from) is parquet key-value metadata;
no wall-clock value is among it, so the same input gives the same bytes.

Keep out: what a table means (`schemas`), which day falls into which cell (`cells`).
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from smallcaps_pipeline.schemas import SchemaError, Table

METADATA_KEY: Final = b"smallcaps"
CONTENT_KEY: Final = "content"  # among the metadata: a digest of the rows
REPLACE_TRIES: Final = 20
REPLACE_WAIT_S: Final = 0.1
SYMBOL_SAFE: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-"
ROW_GROUP_ROWS: Final = 1_000_000

# Rising columns compress best by differences, counts of many sizes byte by byte (low bytes are
# mostly zero), all others (few values, repeated) by dictionary.
ENCODINGS: Final = {
    "timestamp": "DELTA_BINARY_PACKED",
    "participant_timestamp": "DELTA_BINARY_PACKED",
    "sequence_number": "DELTA_BINARY_PACKED",
    "volume": "BYTE_STREAM_SPLIT",
    "transactions": "BYTE_STREAM_SPLIT",
}
COMPRESSION_LEVEL: Final = 6  # of zstd: beyond it, a tenth smaller costs three times the time


class LakeError(OSError):
    """A file of the lake cannot be read or written; the message names it and says what to do."""


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
    ) -> int:
        """Write a frame to a parquet file in one step; return its size in bytes.

        Args:
            frame: Rows in the order in which they are to be stored.
            file: A path that this lake gave.
            metadata: JSON values that describe the file; `read_metadata` gives them back.
            level: Of zstd; reading costs the same at any.

        Raises:
            LakeError: The disk is full or the file cannot be replaced; the old file stays whole.
        """
        table = _to_arrow(frame, metadata or {})
        with self.replacing(file) as temporary:
            pq.write_table(
                table,
                temporary,
                compression="zstd",
                compression_level=level,
                use_dictionary=_dictionary_leaves(table),
                column_encoding={
                    name: ENCODINGS[name] for name in table.column_names if name in ENCODINGS
                },
                row_group_size=ROW_GROUP_ROWS,
                store_schema=True,
            )
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
            reason = error.strerror or str(error)
            raise LakeError(
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


def _to_arrow(frame: pl.DataFrame, metadata: Mapping[str, Any]) -> pa.Table:
    table = frame.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    metadata = {**metadata, CONTENT_KEY: _content(table)}
    stored = json.dumps(metadata, sort_keys=True, separators=(",", ":")).encode()
    return table.replace_schema_metadata({METADATA_KEY: stored})


def _content(table: pa.Table) -> str:
    """Digest the rows: as plain parquet, which keeps nothing of what lies under a null.

    Arrow's own stream would not do: values under nulls and bits past the end are undefined in it.
    """
    digest = hashlib.blake2b(digest_size=16)
    bare = table.replace_schema_metadata(None)
    with pq.ParquetWriter(
        _Digested(digest),
        bare.schema,
        compression="none",
        use_dictionary=False,
        write_statistics=False,
        store_schema=False,
    ) as writer:
        writer.write_table(bare, row_group_size=ROW_GROUP_ROWS)
    return digest.hexdigest()


class _Digested(io.RawIOBase):
    """A file that keeps nothing but a digest of what is written to it."""

    def __init__(self, digest: hashlib.blake2b) -> None:
        self._digest = digest
        self._size = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._size

    def write(self, data: Any) -> int:
        self._digest.update(data)
        self._size += len(data)
        return len(data)


def _dictionary_leaves(table: pa.Table) -> list[str]:
    """Name the parquet leaves to encode by dictionary: a list column's values have their own."""
    return [
        f"{field.name}.list.element" if pa.types.is_large_list(field.type) else field.name
        for field in table.schema
        if field.name not in ENCODINGS
    ]


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
