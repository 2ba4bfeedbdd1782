"""The provider's client: how fast a page becomes a frame, how much of the call budget is used.

    uv run python benchmarks/provider.py pages
    uv run python benchmarks/provider.py budget [--seconds 30] [--address redis://…]

`pages` takes pages of 50,000 rows, gzipped JSON as on the wire, and gives processor time as a ratio
to plain `json.loads` of the same body in the same run; wall time over HTTP comes from a server in a
process of its own. `budget` lets four processes call an emulator at 80 calls a second, kills one of
them after a third of the time, and judges by the times at which the server got the requests.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from typing import Any, Final

import httpx

from smallcaps_pipeline.emulator import running
from smallcaps_pipeline.polygon import wire
from smallcaps_pipeline.polygon.frames import read_page
from smallcaps_pipeline.polygon.once import each_once
from smallcaps_pipeline.polygon.transport import Answer, Request
from smallcaps_pipeline_tests.polygon.callers import callers
from smallcaps_pipeline_tests.polygon.real import connected_to, market
from smallcaps_pipeline_tests.polygon.sharing import most_within

ROWS: Final = 50_000
ROUNDS: Final = 9
LIMIT: Final = 80  # calls a second
START: Final = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
START_NS: Final = int(START.timestamp()) * 10**9

Row = dict[str, Any]


def trade(chance: random.Random, i: int) -> Row:
    """Return a print: a third of them off exchange, nine of ten with conditions."""
    at = START_NS + i * 400_000_123
    row = {
        "conditions": chance.choice([[12, 37], [14, 37, 41], [37]]),
        "decimal_size": f"{chance.randint(1, 500)}.0",
        "exchange": chance.randint(1, 22),
        "id": str(50_000 + i),
        "participant_timestamp": at - 20_017,
        "price": round(5 + chance.random(), 4),
        "sequence_number": 1_000 + i * 3,
        "sip_timestamp": at,
        "size": chance.randint(1, 500),
        "tape": 3,
    }
    if chance.random() < 0.3:
        row |= {"exchange": 4, "trf_id": 202, "trf_timestamp": at - 5_000}
    if chance.random() < 0.1:
        del row["conditions"]
    return row


def quote(chance: random.Random, i: int) -> Row:
    """Return an NBBO update."""
    at, bid = START_NS + i * 400_000_123, round(5 + chance.random(), 2)
    return {
        "ask_exchange": 11,
        "ask_price": round(bid + 0.02, 2),
        "ask_size": chance.randint(1, 9) * 100,
        "bid_exchange": 12,
        "bid_price": bid,
        "bid_size": chance.randint(1, 9) * 100,
        "conditions": [1],
        "indicators": [604],
        "participant_timestamp": at - 20_017,
        "sequence_number": 1_000 + i * 3,
        "sip_timestamp": at,
        "tape": 3,
    }


def bar(chance: random.Random, i: int) -> Row:
    """Return a minute bar with a fractional volume."""
    price = round(5 + chance.random(), 2)
    return {
        "v": round(chance.uniform(100, 90_000), 6),
        "vw": round(price + 0.0013, 4),
        "o": price,
        "c": round(price + 0.01, 2),
        "h": round(price + 0.03, 2),
        "l": round(price - 0.02, 2),
        "t": START_NS // 10**6 + i * 60_000,
        "n": chance.randint(1, 500),
    }


def body_of(make: Callable[[random.Random, int], Row], **envelope: Any) -> bytes:
    """Return a page as compact JSON."""
    chance = random.Random(7)
    page = {"results": [make(chance, i) for i in range(ROWS)], "status": "OK", **envelope}
    return json.dumps(page, separators=(",", ":")).encode()


def bodies() -> dict[str, tuple[bytes, wire.Wire]]:
    """Return a page of each kind, and how it is read."""
    counts = {"adjusted": False, "resultsCount": ROWS, "queryCount": ROWS}
    return {
        "trades": (body_of(trade, request_id="r"), wire.TRADES),
        "quotes": (body_of(quote, request_id="r"), wire.QUOTES),
        "bars": (body_of(bar, **counts), wire.MINUTE_BARS),
    }


def cpu_ms(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Return the median processor time of some work, all threads, in milliseconds."""
    taken = []
    for _ in range(rounds):
        before = time.process_time()
        work()
        taken.append(1_000 * (time.process_time() - before))
    return median(taken)


def measure_pages() -> None:
    """Print what each step of a page costs."""
    print(f"{'page':8}{'MB':>6}{'json.loads':>12}{'gunzip':>8}{'read':>7}{'once':>6}{'ratio':>8}")
    for name, (body, rows) in bodies().items():
        packed = gzip.compress(body, 6)
        answer = Answer(Request("/x"), body, {})
        facts = {"symbol": "A"} if name == "bars" else {}
        by = ("timestamp",) if name == "bars" else ("timestamp", "sequence_number")
        once = partial(each_once, read_page(answer, rows, facts).frame, rows.table, answer.request)
        plain = cpu_ms(partial(json.loads, body))
        steps = [
            cpu_ms(partial(gzip.decompress, packed)),
            cpu_ms(partial(read_page, answer, rows, facts)),
            cpu_ms(partial(once, by=by)),
        ]
        shown = "".join(f"{step:{width}.0f}" for step, width in zip(steps, (8, 7, 6), strict=True))
        print(f"{name:8}{len(body) / 1e6:6.1f}{plain:12.0f}{shown}{sum(steps) / plain:8.2f}")
    measure_http()


def measure_http() -> None:
    """Print the wall time of a page of trades over HTTP, from asking to the frame."""
    command = [sys.executable, __file__, "serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            base_url = server.stdout.readline().strip()
            body, _ = bodies()["trades"]
            with (
                tempfile.TemporaryDirectory() as folder,
                connected_to(base_url, Path(folder), page_limit=ROWS) as client,
            ):
                ends = {"start": START, "end": START + timedelta(days=1)}
                walls, plain = [], []
                for _ in range(ROUNDS):
                    before = time.perf_counter()
                    height = client.trades(symbol="A", **ends).frame.height
                    walls.append(1_000 * (time.perf_counter() - before))
                    assert height == ROWS
                    before = time.perf_counter()
                    json.loads(body)
                    plain.append(1_000 * (time.perf_counter() - before))
            wall, floor = median(walls), median(plain)
            print(f"trades over HTTP: {wall:.0f} ms, json.loads {floor:.0f} ms: {wall / floor:.2f}")
        finally:
            server.kill()


def serve() -> None:
    """Answer every request with the page of trades, until killed."""
    packed = gzip.compress(bodies()["trades"][0], 6)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Length", str(len(packed)))
            self.end_headers()
            self.wfile.write(packed)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


def measure_budget(seconds: float, address: str) -> None:
    """Print how much of a shared budget was used, and the fullest windows at the server."""
    with running(market()) as emulator, tempfile.TemporaryDirectory() as folder:
        httpx.get(f"{emulator.base_url}/v1/marketstatus/now?apiKey=k", trust_env=False)  # warm
        with callers(emulator.base_url, Path(folder), per_second=LIMIT, budget_url=address) as four:
            four.call_for(seconds)
            time.sleep(seconds / 3)
            four.processes[0].kill()
            four.wait(killed=[0])
        times = sorted(one.received_s for one in emulator.requests[1:])
    whole = [at for at in times if at < times[0] + seconds - 1]
    print(f"{len(times)} calls of four processes in {seconds:.0f} s, one killed on the way")
    print(f"used of {LIMIT} a second: {len(whole) / (LIMIT * (seconds - 1)):.1%}")
    for window in (1.0, 0.95, 0.9):
        print(f"most calls in any {window:g} s at the server: {most_within(times, window)}")


def main() -> None:
    """Run one of the benchmarks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("what", choices=["pages", "budget", "serve"])
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--address", default="", help="postgresql:// or redis://; default a file")
    chosen = parser.parse_args()
    if chosen.what == "pages":
        measure_pages()
    elif chosen.what == "budget":
        measure_budget(chosen.seconds, chosen.address)
    else:
        serve()


if __name__ == "__main__":
    main()
