"""A provider for tests: a handler instead of the network, a clock that only sleep moves."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from smallcaps_pipeline.polygon.client import PolygonClient
from smallcaps_pipeline.polygon.ledgers.ledger import Slot
from smallcaps_pipeline.polygon.limiter import Permit
from smallcaps_pipeline.polygon.transport import RetryPolicy, Transport, http_client

KEY = "k3y-THAT-must-never-show"
BASE_URL = "https://provider.test"

Handler = Callable[[httpx.Request], httpx.Response]


@dataclass
class Clock:
    """Seconds since 1970 that pass only by sleeping."""

    now: float = 1_760_000_000.0
    slept: list[float] = field(default_factory=list)

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@dataclass
class FreePacer:
    """A budget without limits that remembers what it was asked."""

    acquired: int = 0
    pauses: list[float] = field(default_factory=list)
    renewed: list[int] = field(default_factory=list)
    gone_out: list[int] = field(default_factory=list)
    closed: bool = False

    def acquire(self) -> Permit:
        self.acquired += 1
        return Permit(Slot(self.acquired, 0.0), 0.0)

    def renew(self, permit: Permit) -> Permit:
        self.renewed.append(permit.slot.number)
        return permit

    def sent(self, permit: Permit) -> None:
        self.gone_out.append(permit.slot.number)

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)

    def close(self) -> None:
        self.closed = True


@dataclass
class Server:
    """Gives prepared answers in turn and keeps the requests.

    An answer is a Response, an exception to be raised in its place, or a value sent as JSON.
    """

    answers: list[Any]
    requests: list[httpx.Request] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, httpx.Response) else httpx.Response(200, json=answer)

    @property
    def targets(self) -> list[str]:
        """Path and query of each request."""
        return [request.url.raw_path.decode() for request in self.requests]


class Raw(httpx.SyncByteStream):
    """A body as it comes over the wire, still encoded, in pieces."""

    def __init__(self, *pieces: bytes, error: Exception | None = None) -> None:
        self._pieces = pieces
        self._error = error

    def __iter__(self) -> Iterator[bytes]:
        yield from self._pieces
        if self._error:
            raise self._error


def transport(
    handler: Handler,
    *,
    clock: Clock | None = None,
    pacer: FreePacer | None = None,
    retries: int = 3,
    by_the_minute: bool = False,
    base_url: str = BASE_URL,
    key: str = KEY,
) -> Transport:
    clock = clock or Clock()
    return Transport(
        http_client(
            base_url, key, connections=4, timeout_s=90.0, transport=httpx.MockTransport(handler)
        ),
        key=key,
        pacer=pacer or FreePacer(),
        retry=RetryPolicy(
            retries=retries, wait_s=1.0, wait_max_s=60.0, by_the_minute=by_the_minute
        ),
        connections=4,
        timeout_s=90.0,
        clock=clock.time,
        sleep=clock.sleep,
    )


def client(
    handler: Handler,
    *,
    page_limit: int = 50_000,
    adjusted: bool = False,
    retries: int = 3,
    base_url: str = BASE_URL,
) -> PolygonClient:
    return PolygonClient(
        transport(handler, retries=retries, base_url=base_url),
        page_limit=page_limit,
        adjusted=adjusted,
    )


def page(rows: list[dict[str, Any]], **envelope: Any) -> dict[str, Any]:
    """Wrap rows as the v3 endpoints do."""
    return {"status": "OK", "request_id": "r1", "results": rows, **envelope}


def aggregates(
    rows: list[dict[str, Any]], *, adjusted: bool = False, **envelope: Any
) -> dict[str, Any]:
    """Wrap rows as the bars endpoints do: without rows there is no `results`."""
    counts = {"queryCount": len(rows), "resultsCount": len(rows), "count": len(rows)}
    answer = {"status": "OK", "request_id": "r1", "adjusted": adjusted, **counts, **envelope}
    return {**answer, "results": rows} if rows else answer


def trade(sequence_number: int, sip_timestamp: int, **fields: Any) -> dict[str, Any]:
    return {
        "exchange": 12,
        "id": str(sequence_number),
        "participant_timestamp": sip_timestamp - 20_017,
        "price": 5.01,
        "sequence_number": sequence_number,
        "sip_timestamp": sip_timestamp,
        "size": 100,
        "tape": 3,
        **fields,
    }


def quote(sequence_number: int, sip_timestamp: int, **fields: Any) -> dict[str, Any]:
    return {
        "bid_price": 5.0,
        "bid_size": 3,
        "bid_exchange": 11,
        "ask_price": 5.02,
        "ask_size": 1,
        "ask_exchange": 12,
        "participant_timestamp": sip_timestamp - 20_017,
        "sequence_number": sequence_number,
        "sip_timestamp": sip_timestamp,
        "tape": 3,
        **fields,
    }


def bar(t: int, **fields: Any) -> dict[str, Any]:
    return {
        "t": t,
        "o": 5.0,
        "h": 5.2,
        "l": 4.9,
        "c": 5.1,
        "v": 1000,
        "vw": 5.05,
        "n": 12,
        **fields,
    }


def body_of(answer: Any) -> bytes:
    return json.dumps(answer).encode()


def asked(server: Server, at: int = 0) -> tuple[str, dict[str, str]]:
    """Return path and parameters of a request."""
    parts = urlsplit(server.targets[at])
    return parts.path, {name: values[0] for name, values in parse_qs(parts.query).items()}
