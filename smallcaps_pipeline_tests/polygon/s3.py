"""A real S3 server on loopback (moto) that holds day files, with the faults that they come with."""

from __future__ import annotations

import gzip
import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from threading import Thread
from typing import Any

import boto3
import polars as pl
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

from smallcaps_pipeline.polygon.flatfiles import FlatFiles, KeyPair, Location

BUCKET, PREFIX, REGION = "flatfiles", "us_stocks_sip/minute_aggs_v1", "us-east-1"
ACCESS, SECRET = "access-key-of-a-test", "secret-key-of-a-test"
HEADER = ("ticker", "volume", "open", "close", "high", "low", "window_start", "transactions")

App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


@dataclass
class Files:
    """The server's files, and what goes wrong with them.

    Attributes:
        url: The server's address.
        asked: Method and path of every request so far.
        headers: The headers of each, as WSGI names them.
        refused: Paths that answer 403 though they are listed.
        failing: How often a path answers 503 before it is well.
        cut: Paths whose body ends after 40 bytes of it.
    """

    url: str
    asked: list[tuple[str, str]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    failing: dict[str, int] = field(default_factory=dict)
    cut: set[str] = field(default_factory=set)
    code: str = "AccessDenied"

    @property
    def s3(self) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=ACCESS,
            aws_secret_access_key=SECRET,
        )

    def put(self, day: date, bars: pl.DataFrame | bytes) -> str:
        """Publish a day's file (rows of BARS, or bytes as they are); return its path."""
        body = bars if isinstance(bars, bytes) else gzip.compress(csv_of(bars), mtime=0)
        key = f"{PREFIX}/{day:%Y/%m}/{day}.csv.gz"
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=body)
        return f"/{BUCKET}/{key}"

    def open(self, *, retries: int = 2) -> FlatFiles:
        location = Location(self.url, BUCKET, PREFIX, REGION)
        return FlatFiles(location, KeyPair(ACCESS, SECRET), retries=retries)

    def gets(self) -> list[str]:
        """List the day files downloaded so far, by name."""
        names = [path.rsplit("/", 1)[-1] for method, path in self.asked if method == "GET"]
        return [name for name in names if name.endswith(".csv.gz")]


def csv_of(bars: pl.DataFrame) -> bytes:
    """Return bars as the provider's CSV."""
    return (
        bars.select(
            pl.col("symbol").alias("ticker"),
            "volume",
            "open",
            "close",
            "high",
            "low",
            pl.col("timestamp").dt.epoch("ns").alias("window_start"),
            pl.col("transactions").fill_null(1),
        )
        .write_csv()
        .encode()
    )


@contextmanager
def serving() -> Iterator[Files]:
    """Run a server of its own, with an empty bucket."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    inner = DomainDispatcherApplication(create_backend_app)
    files = Files("")

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        files.asked.append((method, path))
        files.headers.append({k: str(v) for k, v in environ.items() if k.startswith("HTTP_")})
        if path in files.refused:
            text = f"<Error><Code>{files.code}</Code></Error>".encode()
            start_response("403 Forbidden", [("Content-Length", str(len(text)))])
            return [text]
        if files.failing.get(path, 0) > 0:
            files.failing[path] -= 1
            start_response("503 Service Unavailable", [("Content-Length", "0")])
            return [b""]
        body = inner(environ, start_response)
        return [b"".join(body)[:40]] if path in files.cut else body

    server = make_server("127.0.0.1", 0, app, threaded=True)
    files.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        files.s3.create_bucket(Bucket=BUCKET)
        files.asked.clear()
        yield files
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
