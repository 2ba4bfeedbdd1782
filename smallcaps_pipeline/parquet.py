"""How frames lie in a parquet file: row groups, encodings, and a digest of the rows.

Belongs here: what decides the bytes of a file. Keep out: paths and replacing files (`lake`).
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator
from typing import Any, Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

ROW_GROUP_ROWS: Final = 1_000_000
OLDEST: Final = pl.CompatLevel.oldest()

# Rising columns compress best by differences, counts of many sizes byte by byte (their low bytes
# are mostly zero), ids by what they share with the one before (a dictionary of distinct texts only
# adds to them), all others (few values, repeated) by dictionary.
ENCODINGS: Final = {
    "timestamp": "DELTA_BINARY_PACKED",
    "participant_timestamp": "DELTA_BINARY_PACKED",
    "sequence_number": "DELTA_BINARY_PACKED",
    "volume": "BYTE_STREAM_SPLIT",
    "transactions": "BYTE_STREAM_SPLIT",
    "trade_id": "DELTA_BYTE_ARRAY",
    "event_id": "DELTA_BYTE_ARRAY",
    "event_group_id": "DELTA_BYTE_ARRAY",
}
# Of the numbers with a fraction only these repeat; a dictionary of all others is larger than they
# are, and takes twice the time.
REPEATED: Final = frozenset(
    {
        *("open", "high", "low", "close", "vwap", "price", "size"),
        *("bid_price", "bid_size", "ask_price", "ask_size"),
    }
)
COMPRESSION_LEVEL: Final = 6  # of zstd: beyond it, a tenth smaller costs three times the time


def row_groups(frames: Iterable[pl.DataFrame], rows: int) -> Iterator[pl.DataFrame]:
    """Cut frames anew, into such of a number of rows; no rows are one frame."""
    held, cut = pl.DataFrame(), False
    for frame in frames:
        held = pl.concat([held, frame]) if held.height else frame
        while held.height >= rows:
            yield held[:rows].rechunk()
            held, cut = held[rows:], True
    if held.height or not cut:
        yield held.rechunk()


class RowDigest:
    """A digest of rows: as plain parquet, which keeps nothing of what lies under a null.

    Arrow's own stream would not do: values under nulls and bits past the end are undefined in it.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self._digest = hashlib.blake2b(digest_size=16)
        self._writer = pq.ParquetWriter(
            _Digested(self._digest),
            schema,
            compression="none",
            use_dictionary=False,
            write_statistics=False,
            store_schema=False,
        )

    def update(self, table: pa.Table, group_rows: int) -> None:
        """Take in more rows, in row groups of a number of rows."""
        self._writer.write_table(table, row_group_size=group_rows)

    def finish(self) -> str:
        """Return the digest of all rows."""
        self._writer.close()
        return self._digest.hexdigest()


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


def dictionary_leaves(table: pa.Table) -> list[str]:
    """Name the parquet leaves to encode by dictionary: a list column's values have their own."""
    return [
        f"{field.name}.list.element" if pa.types.is_large_list(field.type) else field.name
        for field in table.schema
        if field.name not in ENCODINGS
        and (field.name in REPEATED or not pa.types.is_floating(field.type))
    ]
