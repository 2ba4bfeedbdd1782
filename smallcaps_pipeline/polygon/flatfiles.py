"""Flat files: one gzip CSV per trading day with the minute bars of the whole market, on S3.

    us_stocks_sip/minute_aggs_v1/2025/10/2025-10-07.csv.gz

Belongs here: keys of objects, their versions, download, CSV to frame. Keep out: what is stored of
it (`bars.day_files`).

A file appears about 11:00 New York time the day after, and may be replaced later: its ETag is its
version. A key outside the plan answers 403 though it is listed; other days may still be had. The
key pair is not the API's; it goes into request headers only and is in no repr, error or log.
Source: reference/polygon_api.md §5. Rejected: boto3 and s3fs, 15 packages for two calls.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final, NoReturn

import obstore
import polars as pl
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import S3Store

from smallcaps_pipeline.polygon.errors import (
    BrokenAnswer,
    ConnectionBroken,
    KeyRefused,
    NotFound,
    OutsideRequest,
    ProviderError,
    TimeframeNotEntitled,
)
from smallcaps_pipeline.schemas import BARS
from smallcaps_pipeline.sessions import trading_day

if TYPE_CHECKING:
    from obstore.store import S3Credential

# Column of the file, by its header: type in the file, name in BARS. No file has a vwap.
COLUMNS: Final = {
    "ticker": (pl.String, "symbol"),
    "window_start": (pl.Int64, "timestamp"),  # ns since the epoch: never through a float
    "open": (pl.Float64, "open"),
    "high": (pl.Float64, "high"),
    "low": (pl.Float64, "low"),
    "close": (pl.Float64, "close"),
    "volume": (pl.Float64, "volume"),  # fractional since February 2026
    "transactions": (pl.Int64, "transactions"),
}
BAD_KEYS: Final = ("InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken")
MOST_OF_OTHER_DAYS: Final = 0.5  # a file with more rows of other days is not that day's
SHOWN: Final = 200  # characters of the store's own words


@dataclass(frozen=True)
class Location:
    """Where the files lie.

    Attributes:
        endpoint: Address of the S3 server.
        bucket: Bucket.
        prefix: Folder of the files, without slashes at its ends.
        region: Region that requests are signed for.
    """

    endpoint: str
    bucket: str
    prefix: str
    region: str


@dataclass(frozen=True)
class KeyPair:
    """The S3 key pair; its repr shows nothing of it."""

    access: str = field(repr=False)
    secret: str = field(repr=False)

    def credential(self) -> S3Credential:
        """Return the pair as the store wants it."""
        return {
            "access_key_id": self.access,
            "secret_access_key": self.secret,
            "token": None,
            "expires_at": None,
        }


@dataclass(frozen=True)
class DayFile:
    """One day's file as downloaded.

    Attributes:
        day: Trading day.
        version: ETag of what was downloaded.
        frame: Its rows in the columns of BARS, not cleaned; `timestamp` in ns, so that what is no
            whole minute is still seen.
        size: Bytes downloaded.
    """

    day: date
    version: str
    frame: pl.DataFrame
    size: int


class FlatFiles:
    """The provider's day files; threads may share it.

    Args:
        location: Where they lie.
        keys: The S3 key pair.
        timeout_s: Of a whole download.
        retries: Further tries after 5xx and broken connections.
    """

    def __init__(
        self, location: Location, keys: KeyPair, *, timeout_s: float = 300.0, retries: int = 6
    ) -> None:
        self._location = location
        self._keys = keys
        self._store = S3Store(
            location.bucket,
            # All of it said here: obstore takes what is not from AWS_* variables, which are those
            # of another account and may even name another server.
            endpoint=location.endpoint,
            aws_endpoint_url_s3=location.endpoint,
            credential_provider=keys.credential,
            region=location.region,
            virtual_hosted_style_request=False,
            skip_signature=False,
            unsigned_payload=False,
            request_payer=False,
            s3_express=False,
            client_options={
                "allow_http": location.endpoint.startswith("http://"),
                "timeout": timedelta(seconds=timeout_s),
            },
            retry_config={"max_retries": retries},
        )

    def __repr__(self) -> str:
        return f"FlatFiles({self._location!r})"

    def versions(self, first: date, last: date) -> dict[date, str]:
        """Return the ETag of each listed file of the days from `first` to `last`, both included.

        A listed file may still answer 403.

        Raises:
            ProviderError: The list cannot be had.
        """
        found: dict[date, str] = {}
        for month in _months(first, last):
            folder = f"{self._location.prefix}/{month:%Y/%m}/"
            try:
                for page in obstore.list(self._store, folder):
                    found.update(
                        (day, str(entry["e_tag"]))
                        for entry in page
                        if (day := _day_of(entry["path"])) and first <= day <= last
                    )
            except (BaseError, OSError) as error:
                self._fail(error, folder)
        return dict(sorted(found.items()))

    def read(self, day: date) -> DayFile:
        """Download a day's file whole.

        Raises:
            NotFound: It is not there: not published yet, or the exchange was closed.
            TimeframeNotEntitled: The plan does not include the day.
            BrokenAnswer: It is cut off, or not what a day's file is.
            ProviderError: It cannot be had.
        """
        path = self.path(day)
        try:
            got = obstore.get(self._store, path)
            version, size, packed = got.meta["e_tag"], got.meta["size"], bytes(got.bytes())
        except (BaseError, OSError) as error:
            self._fail(error, path)
        if len(packed) != size:
            raise BrokenAnswer(f"expected {size:,} bytes, got {len(packed):,}", path)
        try:
            text = gzip.decompress(packed)
        except (OSError, EOFError, zlib.error) as error:
            raise BrokenAnswer(f"is no whole gzip file ({error})", path) from error
        return DayFile(day, str(version), read_day(text, day, path), size)

    def path(self, day: date) -> str:
        """Return the object's key."""
        return f"{self._location.prefix}/{day:%Y/%m}/{day}.csv.gz"

    def _fail(self, error: Exception, path: str) -> NoReturn:
        """Raise the project's error that a store's error stands for, without the key pair."""
        said = str(error)
        for secret in (self._keys.secret, self._keys.access):
            said = said.replace(secret, "***")
        said, where = (
            " ".join(said.split("Debug source")[0].split()),
            f"{self._location.bucket}/{path}",
        )
        raise _error_of(error, said, where) from None


def _error_of(error: Exception, said: str, where: str) -> ProviderError:
    shown = said[:SHOWN]
    if isinstance(error, FileNotFoundError):
        return NotFound(
            "there is no such file: files appear about 11:00 New York time the day after, and none "
            "for closed days",
            where,
            404,
        )
    if isinstance(error, UnauthenticatedError) or any(code in said for code in BAD_KEYS):
        return KeyRefused(
            "the S3 key pair is refused. Set MASSIVE_S3_ACCESS_KEY and MASSIVE_S3_SECRET_KEY to "
            "the pair of the provider's dashboard; it is not the API key",
            where,
            403,
        )
    if isinstance(error, PermissionDeniedError):
        return TimeframeNotEntitled("the plan does not include this file", where, 403)
    return ConnectionBroken(shown, where)


def read_day(text: bytes, day: date, where: str) -> pl.DataFrame:
    """Return the rows of a day's CSV in the columns of BARS, columns found by their header.

    Raises:
        BrokenAnswer: A column is missing or holds what it cannot hold.
        OutsideRequest: Most rows are of another day.
    """
    header = text[: text.find(b"\n")].decode("utf-8", "replace").strip().split(",")
    if missing := [name for name in COLUMNS if name not in header]:
        raise BrokenAnswer(f"lacks the columns {missing}, has {header[:20]}", where)
    try:
        rows = pl.read_csv(
            text,
            columns=list(COLUMNS),
            schema_overrides={name: dtype for name, (dtype, _) in COLUMNS.items()},
            infer_schema_length=0,
        )
    except pl.exceptions.PolarsError as error:
        raise BrokenAnswer(f"is no CSV of bars: {str(error)[:SHOWN]}", where) from error
    frame = rows.select(
        *(pl.col(name).alias(to) for name, (_, to) in COLUMNS.items()),
        vwap=pl.lit(None, pl.Float64),
    ).with_columns(pl.col("timestamp").cast(pl.Datetime("ns", "UTC")))
    other = frame.select((trading_day(pl.col("timestamp")) != day).mean()).item()
    if other is not None and other > MOST_OF_OTHER_DAYS:
        raise OutsideRequest(f"expected bars of {day}, {other:.0%} are of other days", where)
    return frame.select(BARS.schema.names())


def _months(first: date, last: date) -> Iterator[date]:
    month = first.replace(day=1)
    while month <= last:
        yield month
        month = (month + timedelta(days=31)).replace(day=1)


def _day_of(path: str) -> date | None:
    """Return the day of a file's name; None for what is no day's file."""
    name, dot, ending = path.rsplit("/", 1)[-1].partition(".")
    try:
        return date.fromisoformat(name) if dot and ending == "csv.gz" else None
    except ValueError:
        return None
